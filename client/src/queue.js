// Several uploads: a few at a time, with one total.

import { BrokerApi } from "./broker_api.js";
import { Item } from "./item.js";
import { Listeners } from "./listeners.js";
import { deferred } from "./waiting.js";

const CONCURRENCY = 2; // files at a time
const CONNECTIONS = 6; // of a browser to one host over HTTP/1.1, which is what R2's S3 endpoint speaks

/** A queue; broker-upload.d.ts documents its public members. */
export class Queue {
  items = [];
  isPaused = false;
  total = totalOf([]);

  #options;
  #api;
  #concurrency;
  #listeners = new Listeners();
  #idle = null; // a deferred promise while somebody waits for `done`
  #isHeld = false; // while all items are changed at once: none is started in between

  constructor(options) {
    const { concurrency = CONCURRENCY, maxConcurrency = Infinity } = options;
    this.#concurrency = concurrency >= 1 ? concurrency : CONCURRENCY;
    const parts = Math.max(1, Math.floor(CONNECTIONS / this.#concurrency)); // of one file
    this.#options = { ...options, maxConcurrency: Math.min(maxConcurrency, parts) };
    this.#api = new BrokerApi(options);
    this.#api.limits().catch(() => {}); // they are known when the first file is added
  }

  get done() {
    if (this.items.every((item) => item.isOver)) return Promise.resolve(this.items);
    return (this.#idle ??= deferred()).promise;
  }

  on = (event, listener) => this.#listeners.on(event, listener);

  add = (files, options = {}) => {
    const list = files instanceof Blob ? [files] : Array.from(files ?? []);
    const host = {
      api: this.#api,
      emit: (event, value, item) => this.#emit(event, value, item),
      fill: () => this.#fill(),
      remove: (item) => this.#remove(item),
    };
    const added = list.map((file) => new Item(file, { ...this.#options, ...options }, host, this.isPaused));
    this.items = [...this.items, ...added];
    this.#emit("progress", null, null);
    this.#fill();
    return added;
  };

  pause = () => {
    this.isPaused = true;
    this.#each((item) => item.pause());
  };

  resume = () => {
    this.isPaused = false;
    this.#each((item) => item.resume());
  };

  retry = () => this.#each((item) => item.progress.phase === "failed" && item.retry());

  cancel = () => this.#each((item) => item.progress.phase !== "failed" && item.cancel());

  #each(change) {
    this.#isHeld = true;
    this.items.forEach(change);
    this.#isHeld = false;
    this.#fill();
  }

  #remove(item) {
    this.items = this.items.filter((other) => other !== item);
    this.#emit("progress", null, null);
    this.#fill();
  }

  /** Start the next items, as many as there is room for. */
  #fill() {
    if (this.#isHeld) return;
    for (const item of this.items) {
      if (this.items.filter((other) => other.isActive).length >= this.#concurrency) return;
      if (item.isWaiting) item.start();
    }
  }

  #emit(event, value, item) {
    this.total = totalOf(this.items);
    this.#listeners.emit(event, event === "progress" ? this.total : value, item);
    if (this.#idle && this.items.every((other) => other.isOver)) {
      this.#idle.resolve(this.items);
      this.#idle = null;
    }
  }
}

/** Return one total over items. */
function totalOf(items) {
  const total = { loadedBytes: 0, storedBytes: 0, totalBytes: 0, bytesPerSecond: 0, secondsLeft: null };
  const counts = { queuedCount: 0, activeCount: 0, pausedCount: 0, readyCount: 0, failedCount: 0 };
  let leftBytes = 0; // of the items that go on without a person
  for (const { progress } of items) {
    const { phase, totalBytes, loadedBytes } = progress;
    if (phase === "cancelled") continue;
    for (const name of ["loadedBytes", "storedBytes", "totalBytes", "bytesPerSecond"]) total[name] += progress[name];
    const name = `${phase}Count`;
    counts[name in counts ? name : "activeCount"]++;
    if (phase !== "paused" && phase !== "failed") leftBytes += totalBytes - loadedBytes;
  }
  if (total.bytesPerSecond > 0) total.secondsLeft = leftBytes / total.bytesPerSecond;
  return { ...total, ...counts };
}
