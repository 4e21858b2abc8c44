// One upload: create or resume it at the broker, send the file to the store, confirm it.
//
// Only the broker reports what the store has. After a failure, a pause or a reload the client requests that list, and
// sends the missing parts.

import { BrokerApi } from "./broker_api.js";
import { asUploadError, cancelled, invalidOptions, UploadError } from "./errors.js";
import { FileLock } from "./file_lock.js";
import { sha256 } from "./hash.js";
import { Listeners } from "./listeners.js";
import { mayBeTaken, typeOf } from "./media_types.js";
import { Memory } from "./memory.js";
import { Meter } from "./meter.js";
import { sendParts } from "./parts.js";
import { put } from "./store.js";
import { Gate, NEVER, within } from "./waiting.js";

const BACKOFF_BASE_MS = 500; // after n failures the pause is a random time up to BASE * 2 ** n ...
const BACKOFF_MAX_MS = 20_000; // ... and at most MAX
const OFFLINE_PAUSE_MS = 60_000; // while the browser is offline; the event "online" ends it
const RETRY_AFTER_MAX_MS = 600_000; // a longer Retry-After ends the upload
const CONFIRM_PAUSE_MS = 1_000; // between two confirms of a promotion, where the broker gives no Retry-After
const REMOVE_TIMEOUT_MS = 15_000; // for which a cancelled upload waits until the broker has removed it
const RESENDS_MAX = 3; // rounds of sending parts that confirm reports as missing

/** Thrown when the store does not have the upload any more: it must be created again. */
const EXPIRED = new UploadError("upload_expired", "The upload has expired.", { status: 410, retryable: true });

const NOTHING = { status: "pending", uploadedBytes: 0 }; // the status of an upload that was just created
const COMPLETE = ["uploaded", "promoting", "ready"];

/** The handle of an upload; broker-upload.d.ts documents its public members. */
export class Upload {
  done;
  /** The result, and why the upload ended; they are set before the last event. */
  track = null;
  error = null;

  #file;
  #options;
  #shared;
  #lock;
  #meter;
  #identity; // equal for the same file
  #declared; // the body of the create request
  #gate = new Gate();
  #listeners = new Listeners();
  #failures = 0; // in a row, without a stored byte between them

  /** `shared` has the broker's `api`, and the `memory` of earlier attempts, which have stored `storedBytes`. */
  constructor(file, options, shared = {}, storedBytes = 0) {
    this.#file = file;
    this.#options = { maxAttempts: 12, maxConcurrency: Infinity, ...options };
    this.#shared = shared;
    this.#meter = new Meter(file?.size ?? 0, storedBytes, (progress, isNewPhase) => {
      if (isNewPhase) this.#listeners.emit("phase", progress.phase);
      this.#listeners.emit("progress", progress);
    });
    this.done = this.#start();
  }

  get progress() {
    return this.#meter.progress;
  }

  on = (event, listener) => {
    if (event === "error") this.done.catch(() => {}); // the listener handles it
    return this.#listeners.on(event, listener);
  };

  pause = () => {
    if (this.#isOver || this.#gate.isClosed) return;
    this.#gate.close();
    this.#meter.pause(true);
  };

  resume = () => {
    const wasPaused = this.#gate.isClosed;
    this.#gate.open();
    if (wasPaused) this.#meter.pause(false);
  };

  cancel = () => this.#gate.cancel();

  get #isOver() {
    return this.track || this.error || this.#gate.signal.aborted;
  }

  /** Return the track-ready response; throw an UploadError in every other case. */
  async #start() {
    await new Promise((resolve) => setTimeout(resolve)); // the caller adds its listeners first
    try {
      this.#prepare();
      this.track = await this.#run();
      if (!(await this.#lock.isWanted())) this.#shared.memory.forget(this.#identity); // else the other tab confirms it too
    } catch (error) {
      this.error = this.#gate.signal.aborted ? cancelled() : asUploadError(error);
      await this.#tidy();
    }
    this.#options.signal?.removeEventListener("abort", this.cancel);
    this.#lock?.release();
    this.#meter.end(this.track ? "ready" : this.error.code === "cancelled" ? "cancelled" : "failed");
    this.#listeners.emit(this.track ? "done" : "error", this.track ?? this.error);
    if (this.error) throw this.error;
    return this.track;
  }

  /** Check the options, and derive from them what the upload needs. */
  #prepare() {
    const { contentType, maxAttempts, maxConcurrency, multipart, signal } = this.#options;
    const file = this.#file;
    if (typeof file?.slice !== "function" || typeof file.size !== "number") throw invalidOptions("file must be a Blob or a File.");
    const filename = this.#options.filename ?? file.name;
    if (!filename) throw invalidOptions("A Blob needs the option filename.");
    checkToken(this.#options);
    if (!(maxAttempts >= 1 && maxConcurrency >= 1)) throw invalidOptions("maxAttempts and maxConcurrency must be at least 1.");
    const type = contentType ?? (file.type || typeOf(filename));
    this.#declared = { filename, contentType: type, size: file.size };
    if (multipart !== undefined) this.#declared.multipart = multipart;
    this.#identity = { filename, size: file.size, lastModified: file.lastModified, contentType: type };
    // Without a time of its last change, another Blob of this name and size cannot be told apart: it is not remembered.
    this.#shared.memory ??= new Memory(file.lastModified === undefined ? { ...this.#options, storage: null } : this.#options);
    this.#lock = new FileLock(this.#shared.memory.isShared ? this.#shared.memory.keyOf(this.#identity) : null);
    this.#shared.api ??= new BrokerApi(this.#options);
    signal?.addEventListener("abort", this.cancel);
    if (signal?.aborted) this.cancel();
  }

  async #run() {
    this.#gate.throwIfCancelled();
    const limits = await this.#checkLimits();
    const { checksum, multipart } = this.#options;
    // A file with a checksum is sent as a whole: that is too much to lose for one that the broker would take in parts.
    const hashedMaxBytes = multipart === undefined ? limits.multipartThresholdBytes : null;
    if (checksum && !multipart && this.#file.size <= (hashedMaxBytes ?? Infinity)) await this.#hash();
    return this.#transfer().catch((error) => {
      if (error !== EXPIRED) throw error;
      this.#shared.memory.forget(this.#identity);
      return this.#transfer();
    });
  }

  /** Return the limits of the broker; throw its error if it would certainly refuse the file. Unknown limits refuse nothing. */
  async #checkLimits() {
    const limits = await this.#shared.api.limits().catch(() => ({}));
    this.#gate.throwIfCancelled();
    const { filename, contentType, size } = this.#declared;
    const refuse = (code, pointer, detail) => {
      throw new UploadError(code, detail, { errors: [{ pointer, detail }] });
    };
    if (size > (limits.maxBytes ?? Infinity)) {
      refuse("too_large", "/size", `The file has ${size} bytes; at most ${limits.maxBytes} are accepted.`);
    }
    if (limits.types && !mayBeTaken(contentType, filename, limits.types)) {
      refuse("unsupported_type", "/contentType", `The type ${JSON.stringify(contentType)} is not accepted.`);
    }
    return limits;
  }

  async #hash() {
    await this.#step("hashing");
    const digest = await sha256(this.#file).catch(() => this.#unreadable());
    if (digest) this.#declared.sha256 = digest;
  }

  /** Create or resume the upload, send, confirm. */
  async #transfer() {
    await this.#step("starting");
    const created = (await this.#remembered()) ?? { ...(await this.#create("starting")), isNew: true };
    for (let resends = 0; ; resends++) {
      await this.#send(created);
      this.#meter.enter("confirming", this.#file.size);
      const track = await this.#confirm(created.uploadId, resends < RESENDS_MAX);
      if (track) return track;
    }
  }

  /** Return the upload that an earlier run has created for this file; null if the broker does not have it for this user. */
  async #remembered() {
    const known = this.#shared.memory.recall(this.#identity);
    if (!known?.uploadId) return null;
    try {
      const { uploadedBytes } = await this.#withRetries("starting", () => this.#status(known.uploadId));
      this.#meter.enter("starting", uploadedBytes);
      return known;
    } catch (error) {
      if (error !== EXPIRED && error.code !== "upload_deleted") throw error;
      this.#shared.memory.forget(this.#identity);
      return null;
    }
  }

  /** Create the upload. The same idempotency key returns the same upload, with a fresh URL. */
  async #create(phase) {
    const known = this.#shared.memory.recall(this.#identity) ?? { attempt: randomKey(), startedAtMs: Date.now() };
    this.#shared.memory.keep(this.#identity, known);
    const request = () => this.#shared.api.create(this.#declared, known.attempt, this.#gate.signal);
    const created = await this.#withRetries(phase, request);
    this.#shared.memory.keep(this.#identity, { ...known, ...created, url: null, headers: null }); // a URL is used once
    return created;
  }

  async #status(uploadId) {
    const found = await this.#shared.api.status(uploadId, this.#gate.signal).catch((error) => {
      throw error.status === 404 ? EXPIRED : error; // another user's upload, or the broker has a new secret
    });
    if (found.status === "expired") throw EXPIRED;
    if (found.status === "deleted") throw new UploadError("upload_deleted", "The upload was deleted.", { status: 410 });
    return found;
  }

  /** Send until the store has the whole file. After a failure or a pause, request first what the store has. */
  async #send(created) {
    for (;;) {
      if (await this.#step("sending")) created.url = null; // it may have expired meanwhile
      try {
        const found = created.isNew ? NOTHING : await this.#status(created.uploadId);
        created.isNew = false;
        if (COMPLETE.includes(found.status)) return;
        this.#meter.enter("sending", found.uploadedBytes);
        if (this.#gate.isClosed) continue;
        if (created.method === "MULTIPART" ? await this.#sendParts(created, found) : await this.#sendFile(created)) return;
      } catch (error) {
        await this.#backOff(error);
      }
    }
  }

  /** Send the file as a whole; return whether that was done. */
  async #sendFile(created) {
    if (!created.url) Object.assign(created, await this.#create("sending")); // a URL is used once
    const { url, headers } = created;
    if (this.#gate.isClosed) return false;
    created.url = null;
    await this.#put(url, headers, this.#file, "file");
    return true;
  }

  /** Send the parts that the store does not have; return whether it has all of them now. */
  #sendParts({ uploadId, partSize, partCount, maxConcurrency }, { parts = [] }) {
    const sizeOf = (number) => Math.min(partSize, this.#file.size - (number - 1) * partSize);
    const stored = new Set(parts.filter(({ partNumber, size }) => size === sizeOf(partNumber)).map((part) => part.partNumber));
    const numbers = Array.from({ length: partCount }, (_, index) => index + 1).filter((number) => !stored.has(number));
    return sendParts({
      numbers,
      partBytes: partSize,
      maxConcurrency: Math.min(this.#options.maxConcurrency, maxConcurrency),
      sign: (wanted) => this.#shared.api.sign(uploadId, wanted, this.#gate.signal),
      send: async ({ partNumber, url, headers }) => {
        const start = (partNumber - 1) * partSize;
        const bytes = this.#file.slice(start, start + partSize);
        await this.#put(url, headers, bytes, partNumber);
        this.#listeners.emit("part", { partNumber, partCount, sizeBytes: bytes.size });
        return bytes.size;
      },
      isHeld: () => this.#gate.isClosed || this.#gate.signal.aborted,
    });
  }

  /** PUT bytes to the store; `name` identifies them for the progress. */
  async #put(url, headers, bytes, name) {
    await this.#unreadable(); // Firefox and WebKit report nothing while they send a file that is gone
    const onSent = (sent) => this.#meter.sending(name, sent);
    const response = await put(url, headers, bytes, this.#gate.signal, onSent).catch(async (error) => {
      this.#meter.failed(name);
      if (!this.#gate.signal.aborted) await this.#unreadable();
      throw error;
    });
    const { status, code, retryAfterMs } = response;
    if (status === 412 || (status >= 200 && status < 300)) { // 412: an earlier attempt was stored
      this.#failures = 0;
      this.#meter.stored(name, bytes.size);
      return;
    }
    this.#meter.failed(name);
    const text = `${new URL(url).host} returned ${status}${code ? ` (${code})` : ""}.`;
    throw new UploadError("store_refused", text, { status, retryable: true, retryAfterMs });
  }

  /** Throw if the file cannot be read any more. */
  async #unreadable() {
    await this.#file.slice(0, 1).arrayBuffer().catch(() => {
      throw new UploadError("unreadable", "The file was changed, moved or deleted.");
    });
  }

  /** Return the track-ready response; null if parts are missing and `maySend` allows to send them. */
  async #confirm(uploadId, maySend) {
    for (;;) {
      await this.#step("confirming");
      try {
        const { status, body, retryAfterMs } = await this.#shared.api.confirm(uploadId, this.#gate.signal);
        if (status === 200) return body;
        this.#failures = 0; // 202: the broker is promoting a large object
        await this.#gate.sleep(retryAfterMs ?? CONFIRM_PAUSE_MS);
      } catch (error) {
        if (error.code === "upload_expired" || error.status === 404) throw EXPIRED;
        if (maySend && (error.code === "not_uploaded" || namesParts(error))) return null;
        await this.#backOff(error);
      }
    }
  }

  /**
   * Begin a step. Wait before while the upload is paused, or while another tab sends the file; a paused upload leaves the
   * file to other tabs. Return whether it has waited.
   */
  async #step(phase) {
    for (let hasWaited = false; ; hasWaited = true) {
      this.#gate.throwIfCancelled();
      if (this.#gate.isClosed) {
        this.#lock.release();
        await this.#gate.untilOpen();
      } else if (this.#lock.isHeld) {
        this.#meter.enter(phase);
        return hasWaited;
      } else if (!(await this.#lock.take())) {
        this.#meter.enter("queued");
        await this.#lock.wait(this.#gate.signal);
      }
    }
  }

  async #withRetries(phase, work) {
    for (;;) {
      await this.#step(phase);
      try {
        return await work();
      } catch (error) {
        await this.#backOff(error);
      }
    }
  }

  /** Wait before the next attempt; throw `error` if no attempt is left, or if a retry cannot succeed. */
  async #backOff(error) {
    this.#gate.throwIfCancelled();
    const { maxAttempts } = this.#options;
    const isFinal = !error.retryable || error === EXPIRED || error.status === 401 || error.retryAfterMs > RETRY_AFTER_MAX_MS;
    if (isFinal || ++this.#failures >= maxAttempts) throw error;
    const isOffline = globalThis.navigator?.onLine === false; // which is wrong on some systems: it ends nothing
    const randomMs = Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** this.#failures);
    const pauseMs = Math.max(isOffline ? OFFLINE_PAUSE_MS : randomMs, error.retryAfterMs ?? 0);
    this.#meter.enter("waiting");
    const nextAttemptAtMs = Date.now() + pauseMs;
    this.#listeners.emit("retry", { attempt: this.#failures, maxAttempts, reason: error, nextAttemptAtMs });
    await this.#gate.sleep(pauseMs);
  }

  /** After an error: remove a cancelled upload, and forget an upload that cannot continue. */
  async #tidy() {
    if (!this.#identity) return;
    const { status, retryable } = this.error;
    const isCancelled = this.#gate.signal.aborted;
    const { uploadId } = this.#shared.memory.recall(this.#identity) ?? {};
    if (isCancelled && uploadId) {
      const remove = () => this.#shared.api.abort(uploadId);
      await within(REMOVE_TIMEOUT_MS, NEVER, remove).catch(() => {}); // the bucket's lifecycle rule removes the rest
    }
    if (isCancelled || (status >= 400 && !retryable)) this.#shared.memory.forget(this.#identity);
  }
}

/** Throw if the options lack what every request needs. */
export function checkToken({ getToken }) {
  if (typeof getToken !== "function") throw invalidOptions("getToken must be a function.");
}

const randomKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-"); // randomUUID() needs HTTPS and Safari 15.4
const namesParts = ({ errors = [] }) => errors.some(({ pointer }) => pointer.startsWith("/parts/"));
