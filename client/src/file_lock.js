// One tab at a time sends a file. The lock belongs to the tab, and ends with it.

import { deferred } from "./waiting.js";

export class FileLock {
  #name;
  #held = null; // a deferred promise: the lock is held until it is resolved

  /** `name` is null where no other page can see what is remembered: a lock would have no effect. */
  constructor(name) {
    this.#name = globalThis.navigator?.locks ? name : null; // Safari has locks since 15.4
  }

  get isHeld() {
    return this.#name === null || this.#held !== null;
  }

  /** Take the lock if it is free; return whether it is held. */
  async take() {
    return this.isHeld || this.#request({ ifAvailable: true });
  }

  /** Wait for the lock until `signal` is aborted. */
  async wait(signal) {
    await this.#request({ signal });
  }

  release() {
    this.#held?.resolve();
    this.#held = null;
  }

  /** Whether another run waits for this lock. */
  async isWanted() {
    if (this.#name === null) return false;
    const all = await navigator.locks.query().catch(() => null);
    return all?.pending.some(({ name }) => name === this.#name) ?? false;
  }

  #request(options) {
    const granted = deferred();
    navigator.locks.request(this.#name, options, (lock) => {
      granted.resolve(lock !== null);
      if (lock === null) return;
      this.#held = deferred();
      return this.#held.promise;
    }).catch(() => {
      if (!options.signal?.aborted) this.#name = null; // a page without an origin may not have locks
      granted.resolve(true);
    });
    return granted.promise;
  }
}
