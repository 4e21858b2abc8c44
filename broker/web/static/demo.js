// The page: files that are chosen, dropped or pasted become rows, and a queue uploads them.

import { createQueue, unfinished } from "./broker-upload.js";
import { getToken, hasToken, isWaiting, onAccess, subject, takeToken } from "./demo-access.js";
import { announce, announceResult } from "./demo-announce.js";
import { $, kindOf } from "./demo-dom.js";
import { showInterrupted } from "./demo-interrupted.js";
import { showLimits } from "./demo-limits.js";
import { addRows, findRow, identityOf, removeRow } from "./demo-list.js";
import { remember } from "./demo-memory.js";
import { restore } from "./demo-restore.js";
import { hold } from "./demo-tabs.js";
import { showThumb } from "./demo-thumb.js";
import { showTotal } from "./demo-total.js";
import { showTrack } from "./demo-track.js";
import { UploadView } from "./demo-upload.js";

const ACTIVE = ["queued", "hashing", "starting", "sending", "waiting", "paused", "confirming", "ending", "elsewhere"];
const OVER = ["ready", "failed", "cancelled"];
const RESUMABLE = ["interrupted", "failed", "cancelled"];

let queue = null; // until the page has a token
const uploads = new WeakMap(); // { item, view } by row

const options = () => ({ getToken, checksum: true, namespace: subject() });
const isOf = ({ filename, size, lastModified }) => (one) =>
  one.filename === filename && one.size === size && one.lastModified === lastModified;

/** Upload files. One that failed or was interrupted continues in its row; one that is being uploaded is skipped. */
function upload(files) {
  if (!queue) return;
  const chosen = files.filter((file) => {
    const isActive = findRow(identityOf(file), ACTIVE);
    if (isActive) announce(`${file.name} is already being uploaded.`);
    return !isActive;
  });
  const fresh = chosen.filter((file) => !findRow(identityOf(file), RESUMABLE));
  const rows = new Map(addRows(fresh.map(identityOf)).map((row, index) => [fresh[index], row]));
  begin(chosen.map((file) => [rows.get(file) ?? findRow(identityOf(file), RESUMABLE), file]));
}

/** Put files into the queue, each with its row. */
function begin(pairs) {
  const items = queue.add(pairs.map(([, file]) => file));
  const chosenAtMs = Date.now();
  pairs.forEach(([row, file], index) => {
    endUpload(row);
    if (!row.slot("thumb").querySelector("img") && kindOf(file.name) === "image") showThumb(row, file);
    announceResult("started", file.name);
    follow(row, file, items[index], { chosenAtMs, index });
  });
}

/** Show an item in its row until it is confirmed. */
function follow(row, file, item, place) {
  const identity = identityOf(file);
  let uploadId; // with it, one request checks many files after a reload
  const view = new UploadView(row, item, {
    onConfirming: () => (uploadId = unfinished(options()).find(isOf(identity))?.uploadId),
    onReady: (track) => {
      remember({ ...track, ...place, uploadId, lastModified: identity.lastModified });
      showReady(row, track);
    },
    onRemove: () => removeRow(row),
  });
  uploads.set(row, { item, view });
  keepHeld(identity, item);
}

/** Hold the file in this tab as long as the item is not over. */
function keepHeld(identity, item) {
  let isHeld = false;
  const update = () => {
    if (isHeld || OVER.includes(item.progress.phase)) return;
    isHeld = true;
    hold(identity, item.done.then(() => {}, () => {}).then(() => (isHeld = false)));
  };
  item.on("phase", update);
  update();
}

/** End what a row shows of an earlier attempt with the same file. */
function endUpload(row) {
  const { item, view } = uploads.get(row) ?? {};
  view?.stop();
  item?.remove();
}

const showReady = (row, track) => showTrack(row, track, { onRemove: () => removeRow(row) });

/** Enable the page as soon as it has a token, and show the files of earlier visits. */
async function start() {
  $("files").disabled = !hasToken();
  if (queue || !hasToken()) return;
  queue = createQueue(options());
  showTotal(queue);
  showLimits(options());
  await restore({
    options: options(),
    showTrack: showReady,
    onRemove: removeRow,
    showInterrupted: (row, known) =>
      showInterrupted(row, known, {
        options: options(),
        onFile: (file) => begin([[row, file]]),
        onRemove: () => removeRow(row),
      }),
  });
}

/** Continue the uploads that failed for want of a token. */
function retryRefused() {
  if (isWaiting()) return;
  for (const item of queue?.items ?? []) if (item.error?.code === "unauthenticated") item.retry();
}

/** Accept drops anywhere on the page: by default the browser leaves the page and opens the file. */
function acceptDrops() {
  const highlight = (isOver) => $("drop").toggleAttribute("data-over", isOver && hasToken());
  addEventListener("dragover", (event) => (event.preventDefault(), highlight(true)));
  addEventListener("dragleave", (event) => event.relatedTarget ?? highlight(false));
  addEventListener("drop", (event) => {
    event.preventDefault();
    highlight(false);
    upload([...event.dataTransfer.files]);
  });
}

$("files").addEventListener("change", ({ target }) => {
  upload([...target.files]);
  target.value = ""; // otherwise choosing the same file again fires no event
});
addEventListener("paste", ({ clipboardData }) => upload([...clipboardData.files]));
addEventListener("beforeunload", (event) => queue?.total.activeCount && event.preventDefault());
addEventListener("hashchange", takeToken);
onAccess(start);
onAccess(retryRefused);
acceptDrops();
takeToken();
