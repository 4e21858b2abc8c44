// The progress of an upload: what is stored, what is in flight, and how fast.

const REPORT_INTERVAL_MS = 100; // between two reports while sending
const RATE_WINDOW_MS = 5_000; // over which bytesPerSecond is measured

export class Meter {
  #totalBytes;
  #onReport; // called with the progress, and with whether the phase is new
  #phase = null; // the step of the upload
  #isPaused = false;
  #storedBytes;
  #inFlightBytes = new Map(); // by the name of the request
  #sentBytes = 0; // by all requests, failed ones too
  #samples = []; // [time in milliseconds, #sentBytes]
  #reportedAtMs = -Infinity;

  /** The last report. */
  progress;

  constructor(totalBytes, storedBytes, onReport) {
    this.#totalBytes = totalBytes;
    this.#storedBytes = storedBytes;
    this.progress = this.#measure("queued");
    this.#onReport = onReport;
  }

  /** Begin a step. `storedBytes` is given where the broker has reported them. */
  enter(phase, storedBytes = this.#storedBytes) {
    if (phase === this.#phase && storedBytes === this.#storedBytes) return;
    this.#phase = phase;
    this.#storedBytes = storedBytes;
    this.#report();
  }

  /** Show that the upload is paused, or the step again. */
  pause(isPaused) {
    this.#isPaused = isPaused;
    this.#report();
  }

  sending(name, bytes) {
    this.#sentBytes += bytes - (this.#inFlightBytes.get(name) ?? 0);
    this.#inFlightBytes.set(name, bytes);
    // Firefox may report the last byte soon after the start, and nothing more until the store responds.
    const isAllSent = this.#loadedBytes >= this.#totalBytes;
    if (isAllSent || performance.now() - this.#reportedAtMs >= REPORT_INTERVAL_MS) this.#report();
  }

  stored(name, bytes) {
    this.sending(name, bytes);
    this.#inFlightBytes.delete(name);
    this.#storedBytes += bytes;
    this.#report();
  }

  /** The bytes of this request are lost. */
  failed(name) {
    this.#inFlightBytes.delete(name);
  }

  /** End with a phase that a pause does not hide. */
  end(phase) {
    this.#isPaused = false;
    this.#inFlightBytes.clear();
    this.enter(phase, phase === "ready" ? this.#totalBytes : undefined);
  }

  get #loadedBytes() {
    let sum = this.#storedBytes;
    for (const bytes of this.#inFlightBytes.values()) sum += bytes;
    return sum;
  }

  #report() {
    const before = this.progress.phase;
    const phase = this.#isPaused ? "paused" : this.#phase ?? before;
    this.progress = this.#measure(phase);
    this.#onReport(this.progress, phase !== before);
  }

  #measure(phase) {
    const totalBytes = this.#totalBytes;
    const storedBytes = Math.min(this.#storedBytes, totalBytes);
    const loadedBytes = Math.min(this.#loadedBytes, totalBytes);
    const bytesPerSecond = this.#bytesPerSecond();
    const secondsLeft = bytesPerSecond > 0 ? (totalBytes - loadedBytes) / bytesPerSecond : null;
    return { phase, loadedBytes, storedBytes, totalBytes, bytesPerSecond, secondsLeft };
  }

  #bytesPerSecond() {
    const nowMs = (this.#reportedAtMs = performance.now());
    if (this.#phase !== "sending") {
      this.#samples = [];
      return 0;
    }
    this.#samples = [...this.#samples.filter(([atMs]) => nowMs - atMs <= RATE_WINDOW_MS), [nowMs, this.#sentBytes]];
    const [[sinceMs, before]] = this.#samples;
    return nowMs > sinceMs ? ((this.#sentBytes - before) / (nowMs - sinceMs)) * 1000 : 0;
  }
}
