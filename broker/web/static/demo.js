// The page: files come in by picker, drop or paste, each becomes a row, and two at a time are sent.

import { unfinished } from "./broker-upload.js";
import { takeToken, token } from "./demo-broker.js";
import { $, announce } from "./demo-dom.js";
import { Lane } from "./demo-lane.js";
import { add, restore } from "./demo-track.js";
import { Transfer } from "./demo-transfer.js";

const AT_ONCE = 2;

const lane = new Lane(AT_ONCE);
const transfers = new Set();

/** The row of this file, or of what is remembered of it. */
function rowOf(known) {
  for (const transfer of transfers) if (!transfer.row.isConnected) transfers.delete(transfer);
  return [...transfers].find((transfer) => transfer.isOf(known));
}

function newRow(known) {
  const transfer = new Transfer(known, { lane, ready: add });
  transfers.add(transfer);
  $("transfers").append(transfer.row);
  return transfer;
}

/** Upload these files. One that is on its way already is left alone; one that has stopped goes on. */
function take(files) {
  if (!token()) return;
  if (files.length > 1) announce(`${files.length} files chosen.`);
  for (const file of files) {
    const transfer = rowOf(file) ?? newRow(file);
    if (transfer.wantsFile) transfer.take(file);
    else announce(`${file.name} is on its way already.`);
  }
}

/** Whoever has a token may choose files, and sees what earlier visits have left. */
async function begin() {
  takeToken();
  $("files").disabled = !token();
  $("notice").hidden = Boolean(token());
  if (!token()) return;
  for (const left of unfinished()) if (!rowOf(left)) newRow(left).interrupted(left.uploadId);
  await restore();
}

/** A drop anywhere on the page counts; without this the browser would open the file and leave the page. */
function watchDrops() {
  const over = (is) => $("drop").toggleAttribute("data-over", is && Boolean(token()));
  addEventListener("dragover", (event) => (event.preventDefault(), over(true)));
  addEventListener("dragleave", (event) => event.relatedTarget ?? over(false));
  addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    take([...event.dataTransfer.files]);
  });
}

$("files").addEventListener("change", ({ target }) => {
  take([...target.files]);
  target.value = ""; // so that the same file can be chosen again
});
addEventListener("paste", ({ clipboardData }) => take([...clipboardData.files]));
addEventListener("beforeunload", (event) => lane.busy && event.preventDefault());
addEventListener("hashchange", begin);
watchDrops();
begin();
