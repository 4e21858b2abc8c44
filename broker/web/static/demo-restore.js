// The list after a reload: few requests for many files.

import { discard, unfinished } from "./broker-upload.js";
import { confirmAll } from "./demo-broker.js";
import { formatBytes } from "./demo-format.js";
import { addRows } from "./demo-list.js";
import { remember, tracks } from "./demo-memory.js";
import { heldElsewhere, released } from "./demo-tabs.js";

const GONE = ["upload_deleted", "upload_expired", "not_found"];

/**
 * Show the files of earlier visits. One confirm of all of them tells which files were deleted elsewhere, and finishes
 * uploads whose bytes had all arrived. `showTrack`, `showInterrupted` and `onRemove` receive a row.
 */
export async function restore({ options, showTrack, showInterrupted, onRemove }) {
  const isHeld = await heldElsewhere();
  const left = unfinished(options);
  const known = tracks();
  const identities = [...left, ...known].map(({ filename, size, lastModified }) => ({ filename, size, lastModified }));
  const rows = addRows(identities);
  const interrupted = left.map((one, index) => [rows[index], one]).filter(([, one]) => !isHeld(one));
  const elsewhere = left.map((one, index) => [rows[index], one]).filter(([, one]) => isHeld(one));
  const ready = known.map((track, index) => {
    const row = rows[left.length + index];
    return [row, track, showTrack(row, track)];
  });
  for (const [row, one] of interrupted) showInterrupted(row, one);
  for (const [row, one] of elsewhere) follow(row, one, { options, showTrack, showInterrupted, onRemove });

  const ids = [...interrupted, ...ready].map(([, { uploadId }]) => uploadId).filter(Boolean);
  const results = await confirmAll(ids).catch(() => new Map()); // without results, the rows stay as they are
  for (const [row, one] of interrupted) {
    const result = results.get(one.uploadId);
    if (result?.status !== "ready" || row.element.dataset.state !== "interrupted") continue;
    discard(one, options).catch(() => {}); // it only forgets: a confirmed upload cannot be aborted
    remember({ ...result, lastModified: one.lastModified, chosenAtMs: one.startedAtMs, index: 0 });
    showTrack(row, result);
  }
  for (const [row, track, showDeleted] of ready) {
    const isGone = GONE.includes(results.get(track.uploadId)?.problem?.code);
    if (isGone && row.element.dataset.state === "ready") showDeleted();
  }
}

/** Show an upload that another tab sends, until it has ended there. */
async function follow(row, one, { options, showTrack, showInterrupted, onRemove }) {
  const numbers = formatBytes(one.size);
  row.show({ state: "elsewhere", text: "Being uploaded in another tab", numbers });
  await released(one);
  showInterrupted(row, one);
  const isSame = ({ uploadId, filename, startedAtMs = one.startedAtMs }) =>
    uploadId === one.uploadId && filename === one.filename && startedAtMs === one.startedAtMs;
  const settle = () => {
    if (row.element.dataset.state !== "interrupted") return;
    const track = tracks().find(isSame);
    if (track) showTrack(row, track);
    else if (!unfinished(options).some(isSame)) {
      row.explain(null);
      row.show({ state: "cancelled", text: "Cancelled", numbers, side: ["Remove", () => onRemove(row)] });
    }
  };
  addEventListener("storage", settle); // what the other tab has stored may be seen later than the end of its lock
  settle();
}
