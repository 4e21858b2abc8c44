// Sending the missing parts of an upload.

import { Pace } from "./pace.js";

const SIGNED_AHEAD_MS = 60_000; // URLs are requested for the parts of the next minute: they expire
const SIGNED_MAX = 64; // at a time

/** Presigned requests for parts, in order. They are requested in batches, before they are needed. */
class SignedParts {
  #numbers; // of parts without a URL
  #sign;
  #ready = [];
  #loading = null;

  constructor(numbers, sign) {
    this.#numbers = [...numbers];
    this.#sign = sign;
  }

  /** Return the next signed part, and request as many more as will be needed soon. */
  async take(soon) {
    while (!this.#ready.length) await this.#load(soon);
    const part = this.#ready.shift();
    if (this.#ready.length < soon / 4 && this.#numbers.length) this.#load(soon).catch(() => {}); // take() retries
    return part;
  }

  #load(count) {
    this.#loading ??= this.#sign(this.#numbers.slice(0, count))
      .then((parts) => {
        this.#ready.push(...parts);
        this.#numbers.splice(0, parts.length);
      })
      .finally(() => (this.#loading = null));
    return this.#loading;
  }
}

/**
 * Send parts, several at a time. After a failure or a pause no further part is started, and those in flight are
 * completed: no request may be in flight while the broker lists the stored parts. Return whether all were sent; throw
 * the first failure.
 */
export async function sendParts({ numbers, partBytes, maxConcurrency, sign, send, isHeld }) {
  const pace = new Pace(maxConcurrency, partBytes);
  const signed = new SignedParts(numbers, sign);
  const inFlight = new Set();
  let left = numbers.length; // to be started
  let sent = 0;
  let failure = null;

  const sendNext = async () => {
    const soon = (SIGNED_AHEAD_MS * pace.bytesPerMs) / partBytes;
    const part = await signed.take(Math.ceil(Math.min(Math.max(soon, 2 * pace.limit), SIGNED_MAX)));
    if (isHeld()) return;
    pace.stored(await send(part));
    sent++;
  };

  for (;;) {
    while (left > 0 && !failure && !isHeld() && inFlight.size < pace.limit) {
      left--;
      const task = sendNext().catch((error) => (failure ??= error)).finally(() => inFlight.delete(task));
      inFlight.add(task);
    }
    if (!inFlight.size) break;
    await Promise.race(inFlight);
  }
  if (failure) throw failure;
  return sent === numbers.length;
}
