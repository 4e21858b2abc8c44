// Promises that something else resolves, and the gate that every step of an upload passes.

import { cancelled } from "./errors.js";

/** Return a promise with its `resolve` and `reject`. */
export function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

/** A signal that is never aborted. */
export const NEVER = new AbortController().signal;

/**
 * Return the result of `work`, or reject after `ms`, or when `signal` is aborted; `work` receives a signal for both.
 *
 * AbortSignal.timeout() and AbortSignal.any() are missing before Safari 16 and 17.4.
 */
export function within(ms, signal, work) {
  const { promise, reject } = deferred();
  const ended = new AbortController();
  const end = () => {
    ended.abort();
    reject(new Error("it took too long"));
  };
  const timer = setTimeout(end, ms);
  signal.addEventListener("abort", end);
  if (signal.aborted) end();
  return Promise.race([promise, work(ended.signal)]).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  });
}

/** Return the wait that a Retry-After asks for: seconds or a date (RFC 9110 section 10.2.3). */
export function millisecondsOf(retryAfter) {
  if (!retryAfter) return undefined;
  const ms = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - Date.now();
  return ms > 0 ? ms : undefined;
}

/** The gate before every step: `pause()` closes it, `resume()` opens it, `cancel()` ends the upload. */
export class Gate {
  #opened = null; // a deferred promise while the gate is closed
  #cancel = new AbortController();
  #wakeUp = () => {};

  /** Aborted when the upload is cancelled. */
  get signal() {
    return this.#cancel.signal;
  }

  get isClosed() {
    return this.#opened !== null;
  }

  close() {
    this.#opened ??= deferred();
  }

  /** Open the gate, and end the current `sleep`. */
  open() {
    this.#opened?.resolve();
    this.#opened = null;
    this.#wakeUp();
  }

  cancel() {
    this.#cancel.abort();
    this.open();
  }

  /** Wait while the gate is closed. */
  async untilOpen() {
    while (this.#opened) await this.#opened.promise;
    this.throwIfCancelled();
  }

  throwIfCancelled() {
    if (this.signal.aborted) throw cancelled();
  }

  /** Wait `ms`, but not beyond `open()`, a cancellation, or the moment when the browser is online again. */
  async sleep(ms) {
    const { promise, resolve } = deferred();
    this.#wakeUp = resolve;
    const timer = setTimeout(resolve, ms);
    globalThis.addEventListener?.("online", resolve);
    if (!this.signal.aborted) await promise;
    clearTimeout(timer);
    globalThis.removeEventListener?.("online", resolve);
    this.throwIfCancelled();
  }
}
