// How many parts are in flight: one at first, more while that is faster.

const GAIN_MIN = 1.15; // a step pays if the rate grows by this factor
const SETTLED_ROUNDS = 8; // after a step that did not pay, until the next one
const AT_RISK_BYTES = 16 * 2 ** 20; // in flight at most, on a slow connection: a reload loses no more ...
const AT_RISK_MS = 2_000; // ... and on a fast one what is sent in this time

export class Pace {
  /** The number of parts that may be in flight. */
  limit = 1;
  /** The rate of the last round; 0 before. */
  bytesPerMs = 0;

  #max;
  #partBytes;
  #best = 0; // the rate before the last step
  #settled = 0; // rounds until the next step
  #sinceMs;
  #bytes = 0;
  #count = 0;

  constructor(max, partBytes, nowMs = performance.now()) {
    this.#max = max;
    this.#partBytes = partBytes;
    this.#sinceMs = nowMs;
  }

  /** Count a stored part. A round ends after as many parts as may be in flight. */
  stored(bytes, nowMs = performance.now()) {
    this.#bytes += bytes;
    if (++this.#count < this.limit) return;
    this.bytesPerMs = this.#bytes / Math.max(nowMs - this.#sinceMs, 1);
    this.#step();
    this.#sinceMs = nowMs;
    this.#bytes = this.#count = 0;
  }

  #step() {
    const atRisk = Math.max(AT_RISK_BYTES, this.bytesPerMs * AT_RISK_MS);
    const max = Math.max(1, Math.min(this.#max, Math.floor(atRisk / this.#partBytes)));
    if (this.limit > max) this.limit = max; // the connection has become slower
    else if (--this.#settled > 0) return;
    else if (this.bytesPerMs >= this.#best * GAIN_MIN) {
      this.#best = this.bytesPerMs;
      this.limit = Math.min(this.limit + 1, max);
    } else {
      this.#best = 0; // the next step is judged by the rate at that time
      this.#settled = SETTLED_ROUNDS;
      this.limit = Math.max(1, this.limit - 1);
    }
  }
}
