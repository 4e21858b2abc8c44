// A file in a queue: it waits for its turn, and may be uploaded again.

import { Listeners } from "./listeners.js";
import { Upload } from "./upload.js";
import { deferred } from "./waiting.js";

const OVER = ["ready", "failed", "cancelled"];
let lastId = 0;

/** An item of a queue; broker-upload.d.ts documents its public members. */
export class Item {
  id = `${++lastId}`;
  file;
  filename;
  progress;

  #options;
  #queue;
  #upload = null; // the current attempt
  #shared; // by all attempts
  #settled = settled();
  #hasTurn = false;
  #isPaused;
  #isEnding = false;
  #listeners = new Listeners();

  constructor(file, options, queue, isPaused) {
    this.file = file;
    this.filename = options.filename ?? file?.name ?? "";
    this.#options = options;
    this.#queue = queue;
    this.#shared = { api: queue.api };
    this.#isPaused = isPaused;
    const totalBytes = file?.size ?? 0;
    const phase = isPaused ? "paused" : "queued";
    this.progress = { phase, loadedBytes: 0, storedBytes: 0, totalBytes, bytesPerSecond: 0, secondsLeft: null };
  }

  get done() {
    return this.#settled.promise;
  }

  get track() {
    return this.#upload?.track ?? null;
  }

  get error() {
    return this.#upload?.error ?? null;
  }

  get isOver() {
    return OVER.includes(this.progress.phase) && !this.#isEnding;
  }

  /** Whether it takes a place in the queue. */
  get isActive() {
    return this.#hasTurn && !this.isOver;
  }

  /** Whether it waits for a place. */
  get isWaiting() {
    return !this.#hasTurn && !this.#isPaused && !this.#isEnding && !this.isOver;
  }

  on = (event, listener) => this.#listeners.on(event, listener);

  pause = () => {
    if (this.#isEnding || this.isOver) return;
    this.#isPaused = true;
    this.#hasTurn = false;
    this.#upload?.pause();
    this.#show();
    this.#queue.fill();
  };

  resume = () => {
    if (this.#hasTurn) this.#upload?.resume(); // ends the pause before the next attempt
    this.#isPaused = false;
    this.#show();
    this.#queue.fill();
  };

  cancel = () => {
    if (this.#isEnding || ["ready", "cancelled"].includes(this.progress.phase)) return;
    this.#isEnding = true;
    if (!this.#upload || this.error) this.#begin(); // what an earlier attempt has stored is removed too
    this.#upload.cancel();
  };

  retry = () => {
    if (!["failed", "cancelled"].includes(this.progress.phase) || this.#isEnding) return;
    this.#upload = null;
    this.#isPaused = false;
    this.#settled = settled();
    this.#show();
    this.#queue.fill();
  };

  remove = () => {
    this.cancel();
    this.#queue.remove(this);
  };

  /** Start or continue: the queue has room. */
  start() {
    this.#hasTurn = true;
    if (this.#upload) this.#upload.resume();
    else this.#begin();
    this.#show();
  }

  #begin() {
    const { phase, storedBytes } = this.progress;
    const upload = new Upload(this.file, this.#options, this.#shared, phase === "cancelled" ? 0 : storedBytes);
    this.#upload = upload;
    for (const event of ["part", "retry", "done", "error"]) upload.on(event, (value) => this.#emit(event, value));
    upload.on("progress", () => this.#show());
    upload.done.then((track) => this.#settled.resolve(track), (error) => this.#settled.reject(error));
  }

  /** Update the progress, and report it. */
  #show() {
    const { phase: before } = this.progress;
    const now = this.#upload?.progress ?? { ...this.progress, bytesPerSecond: 0, secondsLeft: null };
    this.progress = { ...now, phase: this.#phase(now.phase, before) };
    if (OVER.includes(this.progress.phase) && (this.track || this.error)) this.#isEnding = this.#hasTurn = false;
    if (this.progress.phase !== before) this.#emit("phase", this.progress.phase);
    this.#emit("progress", this.progress);
    if (this.isOver) this.#queue.fill();
  }

  #phase(ofUpload, before) {
    if (this.track || this.error) return ofUpload;
    if (this.#isEnding) return before;
    if (this.#isPaused) return "paused";
    return this.#hasTurn ? ofUpload : "queued";
  }

  #emit(event, value) {
    this.#listeners.emit(event, value);
    this.#queue.emit(event, value, this);
  }
}

/** Return a deferred promise whose rejection nobody has to handle. */
function settled() {
  const made = deferred();
  made.promise.catch(() => {});
  return made;
}
