// A row while its file is being uploaded: what an item of the queue reports.

import { isWaiting, onAccess } from "./demo-access.js";
import { announceResult } from "./demo-announce.js";
import { describe, retryWords } from "./demo-errors.js";
import { formatBytes, formatDuration } from "./demo-format.js";

const TEXTS = {
  queued: "Queued", hashing: "Preparing", starting: "Starting", sending: "Sending", paused: "Paused",
  confirming: "Checking the stored file",
};

const ACTIVE = ["hashing", "starting", "sending", "waiting", "confirming"];
const TICK_MS = 1_000; // of the countdown to the next attempt

export class UploadView {
  #row;
  #item;
  #hooks;
  #isEnding = false;
  #retry = null; // the last failed attempt
  #timer = null;
  #ends = []; // functions that remove the listeners

  /** Show an item of the queue. `onConfirming` is called before `onReady`, which receives the track. */
  constructor(row, item, hooks) {
    this.#row = row;
    this.#item = item;
    this.#hooks = hooks;
    this.#ends = [
      item.on("progress", () => this.#render()),
      item.on("phase", (phase) => phase === "confirming" && hooks.onConfirming()),
      item.on("retry", (retry) => this.#setRetry(retry)),
      item.on("done", (track) => this.#done(track)),
      item.on("error", (error) => this.#announceError(error)),
      onAccess(() => this.#render()),
    ];
    row.onRemove(() => this.stop());
    this.#render();
  }

  /** Show no more of the item. */
  stop() {
    clearTimeout(this.#timer);
    for (const end of this.#ends) end();
  }

  #render() {
    const { phase } = this.#item.progress;
    clearTimeout(this.#timer);
    if (phase === "ready") return; // the event `done` follows
    if (phase === "failed") return this.#renderFailed();
    this.#row.explain(null);
    if (phase === "cancelled") return this.#renderCancelled();
    if (phase === "waiting") this.#timer = setTimeout(() => this.#render(), TICK_MS);
    const ending = { state: "ending", text: "Cancelling" };
    this.#row.show({ ...this.#transfer(phase), ...(this.#isEnding ? ending : this.#buttons(phase)) });
  }

  #renderFailed() {
    const texts = this.#texts();
    const main = this.#item.error.retryable ? ["Retry", () => this.#again()] : null;
    this.#row.show({ state: "failed", text: texts.title, side: this.#removal(), main });
    this.#row.explain(texts);
  }

  #renderCancelled() {
    const main = ["Restart", () => this.#again()];
    this.#row.show({ state: "cancelled", text: "Cancelled", side: this.#removal(), main });
  }

  #buttons(phase) {
    return {
      main: phase === "paused" ? ["Resume", () => this.#item.resume()] : ["Pause", () => this.#item.pause()],
      end: ["Cancel", () => this.#cancel()],
    };
  }

  #removal() {
    return ["Remove", () => {
      this.#item.remove();
      this.#hooks.onRemove();
    }];
  }

  #setRetry(retry) {
    this.#retry = retry;
    this.#render();
  }

  #cancel() {
    this.#isEnding = true;
    this.#item.cancel();
    this.#render();
  }

  #again() {
    this.#isEnding = false;
    this.#item.retry();
  }

  #done(track) {
    this.stop();
    announceResult("ready", this.#item.filename);
    this.#hooks.onReady(track);
  }

  #announceError({ code }) {
    const { filename } = this.#item;
    if (code === "cancelled") announceResult("cancelled", filename);
    else announceResult("failed", filename, `${filename}: ${this.#texts().title}.`);
  }

  #texts() {
    return describe(this.#item.error, { size: this.#item.file.size });
  }

  /** Return the state of an upload that has not ended, in words and numbers. */
  #transfer(phase) {
    const { loadedBytes, totalBytes, bytesPerSecond, secondsLeft } = this.#item.progress;
    const size = formatBytes(totalBytes);
    const numbers = [loadedBytes ? `${formatBytes(loadedBytes)} of ${size}` : size];
    if (phase === "sending" && bytesPerSecond) numbers.push(`${formatBytes(bytesPerSecond)}/s`);
    if (phase === "sending" && secondsLeft !== null) numbers.push(`${formatDuration(secondsLeft)} left`);
    const isHeld = isWaiting() && ACTIVE.includes(phase);
    return {
      state: phase,
      text: isHeld ? "Waiting for a fresh link" : TEXTS[phase] ?? retryWords(this.#retry),
      numbers: numbers.join(" · "),
      share: totalBytes ? loadedBytes / totalBytes : 0,
    };
  }
}
