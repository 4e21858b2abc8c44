// The page: files that are chosen, dropped or pasted become rows, and two at a time are sent.

import { unfinished } from "./broker-upload.js";
import { takeToken, token } from "./demo-broker.js";
import { $, announce } from "./demo-dom.js";
import { Queue } from "./demo-queue.js";
import { add, restore } from "./demo-track.js";
import { Transfer } from "./demo-transfer.js";

const FILES_AT_A_TIME = 2;

const queue = new Queue(FILES_AT_A_TIME);
const transfers = new Set();

/** Return the row of a file or of a remembered upload. */
function find(known) {
  for (const transfer of transfers) if (!transfer.row.isConnected) transfers.delete(transfer);
  return [...transfers].find((transfer) => transfer.isOf(known));
}

function addRow(known) {
  const transfer = new Transfer(known, { queue, ready: add });
  transfers.add(transfer);
  $("transfers").append(transfer.row);
  return transfer;
}

/** Upload files. One that failed or was interrupted continues; one that is being uploaded is skipped. */
function upload(files) {
  if (!token()) return;
  if (files.length > 1) announce(`${files.length} files chosen.`);
  for (const file of files) {
    const transfer = find(file) ?? addRow(file);
    if (transfer.needsFile) transfer.start(file);
    else announce(`${file.name} is already being uploaded.`);
  }
}

/** Enable the page if it has a token, and show the uploads and tracks of earlier visits. */
async function start() {
  takeToken();
  $("files").disabled = !token();
  $("notice").hidden = Boolean(token());
  if (!token()) return;
  for (const known of unfinished()) if (!find(known)) addRow(known).interrupted(known.uploadId);
  await restore();
}

/** Accept drops anywhere on the page: by default the browser leaves the page and opens the file. */
function acceptDrops() {
  const highlight = (isOver) => $("drop").toggleAttribute("data-over", isOver && Boolean(token()));
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
addEventListener("beforeunload", (event) => queue.busy && event.preventDefault());
addEventListener("hashchange", start);
acceptDrops();
start();
