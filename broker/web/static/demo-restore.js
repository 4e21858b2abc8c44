// The list after a reload: few requests for many files.

import { discard, unfinished } from "./broker-upload.js";
import { confirmAll } from "./demo-broker.js";
import { addRows } from "./demo-list.js";
import { remember, tracks } from "./demo-memory.js";

const GONE = ["upload_deleted", "upload_expired", "not_found"];

/**
 * Show the files of earlier visits. One confirm of all of them tells which files were deleted elsewhere, and finishes
 * uploads whose bytes had all arrived. `showTrack` and `showInterrupted` receive a row each.
 */
export async function restore({ options, showTrack, showInterrupted }) {
  const left = unfinished(options);
  const known = tracks();
  const identities = [...left, ...known].map(({ filename, size, lastModified }) => ({ filename, size, lastModified }));
  const rows = addRows(identities);
  left.forEach((one, index) => showInterrupted(rows[index], one));
  const showDeleted = known.map((track, index) => showTrack(rows[left.length + index], track));

  const ids = [...left, ...known].map(({ uploadId }) => uploadId);
  const results = await confirmAll(ids.filter(Boolean)).catch(() => new Map()); // without results, the rows stay
  left.forEach((one, index) => {
    const result = results.get(one.uploadId);
    if (result?.status !== "ready" || rows[index].element.dataset.state !== "interrupted") return;
    discard(one, options).catch(() => {}); // it only forgets: a confirmed upload cannot be aborted
    remember({ ...result, lastModified: one.lastModified, chosenAtMs: one.startedAtMs, index: 0 });
    showTrack(rows[index], result);
  });
  known.forEach((track, index) => {
    const isShown = rows[left.length + index].element.dataset.state === "ready";
    if (isShown && GONE.includes(results.get(track.uploadId)?.problem?.code)) showDeleted[index]();
  });
}
