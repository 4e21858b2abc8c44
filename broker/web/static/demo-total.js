// The bar over the list: one total of all files, and the buttons for all of them.

import { isWaiting, onAccess } from "./demo-access.js";
import { announceResults } from "./demo-announce.js";
import { $, confirmOnClick, keepFocus, setText } from "./demo-dom.js";
import { formatBytes, formatDuration } from "./demo-format.js";
import { removeRow, rowsIn } from "./demo-list.js";

const SHOWN_FROM = 2; // files; the row of a single one says it all

/** Show the total of a queue. */
export function showTotal(queue) {
  const render = () => {
    const { total } = queue;
    const count = total.queuedCount + total.activeCount + total.pausedCount + total.readyCount + total.failedCount;
    const open = total.queuedCount + total.activeCount + total.pausedCount;
    const failed = queue.items.filter(({ error }) => error?.retryable && error.code !== "cancelled").length;
    const cancelled = rowsIn("cancelled").length;
    keepFocus($("total"), () => {
      $("total").hidden = Math.max(count, cancelled) < SHOWN_FROM;
      setButton("pause", open ? (isMoving(total) ? "Pause all" : "Resume all") : "");
      setButton("retry", failed ? `Retry ${failed} failed` : "");
      setButton("tidy", cancelled > 1 ? `Remove ${cancelled} cancelled` : "");
      $("total-cancel").hidden = !open;
    }, $("files"));
    setText($("total-text"), words(total, count, open));
    $("total-progress").value = open && total.totalBytes ? total.loadedBytes / total.totalBytes : 1;
    $("total-progress").classList.toggle("unused", !open);
    if (!open) announceResults();
  };

  $("total-pause").onclick = () => (isMoving(queue.total) ? queue.pause() : queue.resume());
  $("total-retry").onclick = () => {
    for (const item of queue.items) if (item.error?.retryable && item.error.code !== "cancelled") item.retry();
  };
  $("total-tidy").onclick = () => {
    for (const row of rowsIn("cancelled")) row.slot("side").click();
    render();
  };
  confirmOnClick($("total-cancel"), "", () => queue.cancel());
  queue.on("progress", render);
  $("rows").addEventListener("row", render);
  onAccess(render);
}

const isMoving = ({ activeCount, queuedCount, pausedCount }) => activeCount > 0 || (queuedCount > 0 && !pausedCount);

function setButton(name, text) {
  $(`total-${name}`).hidden = !text;
  if (text) setText($(`total-${name}`), text);
}

/** Return the total in words, such as "2 of 5 ready · 1 failed · 40 % of 12.3 MB · 3.20 MB/s · 4 s left". */
function words(total, count, open) {
  const parts = [`${total.readyCount} of ${count} ready`];
  if (total.failedCount) parts.push(`${total.failedCount} failed`);
  if (isWaiting()) return [...parts, "waiting for a fresh link"].join(" · ");
  if (!open) return parts.join(" · ");
  const share = total.totalBytes ? Math.floor((total.loadedBytes / total.totalBytes) * 100) : 0;
  parts.push(`${share} % of ${formatBytes(total.totalBytes)}`);
  if (!isMoving(total)) return [...parts, "paused"].join(" · ");
  if (total.bytesPerSecond) parts.push(`${formatBytes(total.bytesPerSecond)}/s`);
  if (total.secondsLeft !== null) parts.push(`${formatDuration(total.secondsLeft)} left`);
  return parts.join(" · ");
}
