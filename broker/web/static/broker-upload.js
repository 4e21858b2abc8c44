// Uploads a file from the browser straight to the store. The broker signs and confirms; the file's bytes do not pass
// through it.
//
// Only the broker reports what the store has. After a failure, a pause or a reload the client requests that list, and
// sends the missing parts. Between page loads it remembers only the identity of the upload.

/** The version of this module, which is the package's. A release changes both. */
export const version = "0.1.0";

const STORAGE_PREFIX = "broker-upload:"; // of the keys in the page's storage
const HASHED_MAX_BYTES = 64 * 2 ** 20; // crypto.subtle needs the whole file in memory
const STALL_TIMEOUT_MS = 60_000; // a PUT that sends no byte for so long is aborted
const RESPONSE_TIMEOUT_MS = 120_000; // of the broker; confirming a large file takes long
const BACKOFF_BASE_MS = 500; // after n failures the pause is a random time up to BASE * 2 ** n ...
const BACKOFF_MAX_MS = 20_000; // ... and at most MAX
const CONFIRM_PAUSE_MS = 1_000; // between two confirms of a promotion, where the broker gives no Retry-After
const REPORT_INTERVAL_MS = 100; // between two reports of progress while sending
const RATE_WINDOW_MS = 5_000; // over which bytesPerSecond is measured
const ABORT_ATTEMPTS_MAX = 4; // requests to the broker to abort one upload
const ABORT_PAUSE_MS = 500; // times the number of the attempt
const RESENDS_MAX = 3; // rounds of sending parts that confirm reports as missing

const TYPES = {
  aac: "audio/aac", aif: "audio/aiff", aiff: "audio/aiff", flac: "audio/flac", gif: "image/gif", jpeg: "image/jpeg",
  jpg: "image/jpeg", m4a: "audio/mp4", mp3: "audio/mpeg", mp4: "video/mp4", oga: "audio/ogg", ogg: "audio/ogg",
  opus: "audio/ogg", png: "image/png", wav: "audio/wav", weba: "audio/webm", webm: "video/webm", webp: "image/webp",
}; // by extension, for files whose type the browser does not recognise

/** Why an upload ended. */
export class UploadError extends Error {
  /** @param {Record<string, any>} [facts] the fields of broker-upload.d.ts, and `retryAfterMs` */
  constructor(code, message, facts = {}) {
    super(message);
    Object.assign(this, { name: "UploadError", code, retryable: false, ...facts });
  }
}

/** Upload a file and confirm it. broker-upload.d.ts documents the parameters. */
export function upload(file, options) {
  const run = new Run(file, options);
  const promise = run.start();
  return Object.assign(promise, {
    pause: () => run.pause(),
    resume: () => run.resume(),
    cancel: () => run.cancel(),
  });
}

/** Return the unfinished uploads that this browser remembers, oldest first. */
export function unfinished({ broker = "", storage = pageStorage() } = {}) {
  return new Memory(storage, broker).all();
}

/** Abort an unfinished upload and forget it. */
export async function discard({ uploadId, ...identity }, { broker = "", storage = pageStorage(), getToken }) {
  if (uploadId) await new Broker(broker, getToken).abort(uploadId);
  new Memory(storage, broker).forget(identity);
}

// --- One upload -------------------------------------------------------------------------------------------------------

/** Thrown when the store does not have the upload any more: it must be created again. */
const EXPIRED = new UploadError("upload_expired", "The upload has expired.", { status: 410, retryable: true });

const EMPTY = { status: "pending", uploadedBytes: 0 }; // the status of an upload that was just created

class Run {
  #file;
  #options;
  #broker;
  #memory;
  #meter;
  #identity; // equal for the same file
  #declared; // the body of the create request
  #failures = 0; // in a row, without a stored byte between them
  #paused = null; // a deferred promise, which resume() resolves
  #cancelled = new AbortController();
  #sending = new AbortController(); // aborts the requests to the store

  constructor(file, options) {
    const { broker = "", storage = pageStorage(), getToken, onProgress, signal } = options;
    this.#file = file;
    this.#options = { maxAttempts: 12, maxConcurrency: Infinity, ...options };
    this.#broker = new Broker(broker, getToken);
    this.#memory = new Memory(storage, broker);
    this.#meter = new Meter(file.size, onProgress);
    const filename = options.filename ?? file.name;
    const contentType = options.contentType ?? (file.type || TYPES[extension(filename)] || "");
    this.#declared = { filename, contentType, size: file.size };
    this.#identity = { filename, size: file.size, lastModified: file.lastModified, contentType };
    if (options.multipart !== undefined) this.#declared.multipart = options.multipart;
    if (signal?.aborted) this.cancel();
    signal?.addEventListener("abort", () => this.cancel(), { once: true });
  }

  pause() {
    if (this.#paused || this.#cancelled.signal.aborted) return;
    this.#paused = deferred();
    this.#sending.abort();
    this.#meter.enter("paused");
  }

  resume() {
    this.#paused?.resolve();
    this.#paused = null;
  }

  cancel() {
    this.#cancelled.abort();
    this.#sending.abort();
    this.resume();
  }

  /** Return the track-ready response; throw an UploadError in every other case. */
  async start() {
    try {
      this.#throwIfCancelled();
      if (this.#options.checksum && !this.#declared.multipart) await this.#hash();
      const track = await this.#run().catch((error) => (error === EXPIRED ? this.#restart() : Promise.reject(error)));
      this.#memory.forget(this.#identity);
      this.#meter.enter("ready", this.#file.size);
      return track;
    } catch (error) {
      if (this.#cancelled.signal.aborted) throw await this.#abort();
      const isFinal = error.status >= 400 && error.status !== 401 && !error.retryable;
      if (isFinal) this.#memory.forget(this.#identity); // after other errors, the same file can continue
      throw error instanceof UploadError ? error : new UploadError("unexpected_response", String(error));
    }
  }

  async #hash() {
    this.#meter.enter("hashing");
    const sha256 = await digest(this.#file);
    if (sha256) this.#declared.sha256 = sha256;
  }

  #restart() {
    this.#memory.forget(this.#identity);
    return this.#run();
  }

  /** Create or resume the upload, send, confirm. */
  async #run() {
    this.#meter.enter("starting");
    const created = (await this.#remembered()) ?? { ...(await this.#create()), isNew: true };
    for (let resends = 0; ; resends++) {
      await (created.method === "MULTIPART" ? this.#sendParts(created) : this.#sendFile(created));
      this.#meter.enter("confirming", this.#file.size);
      const track = await this.#confirm(created.uploadId, resends < RESENDS_MAX);
      if (track) return track;
    }
  }

  /** Return the upload that an earlier run has created for this file; null if the broker does not have it for this user. */
  async #remembered() {
    const known = this.#memory.recall(this.#identity);
    if (!known?.uploadId) return null;
    try {
      await this.#withRetries(() => this.#status(known.uploadId));
      return known;
    } catch (error) {
      if (error !== EXPIRED && error.code !== "upload_deleted") throw error;
      this.#memory.forget(this.#identity);
      return null;
    }
  }

  /** Create the upload. The same idempotency key returns the same upload, with a fresh URL. */
  async #create() {
    const known = this.#memory.recall(this.#identity) ?? { attempt: randomHex(), startedAtMs: Date.now() };
    this.#memory.keep(this.#identity, known);
    const created = await this.#withRetries(() => this.#broker.create(this.#declared, known.attempt));
    const { uploadId, method, partSize, partCount, maxConcurrency } = created;
    this.#memory.keep(this.#identity, { ...known, uploadId, method, partSize, partCount, maxConcurrency });
    return created;
  }

  async #status(uploadId) {
    const found = await this.#broker.status(uploadId).catch((error) => {
      throw error.status === 404 ? EXPIRED : error; // another user's upload, or the broker has a new secret
    });
    if (found.status === "expired") throw EXPIRED;
    if (found.status === "deleted") throw new UploadError("upload_deleted", "The upload was deleted.", { status: 410 });
    return found;
  }

  // --- One PUT --------------------------------------------------------------------------------------------------------

  async #sendFile(created) {
    let { url, headers } = created;
    await this.#untilStored(created, async () => {
      if (!url) ({ url, headers } = await this.#create()); // a URL is used once: an older one may have expired
      const used = url;
      url = null;
      await this.#put({ url: used, headers }, this.#file, "file");
      return true;
    });
  }

  // --- Parts ----------------------------------------------------------------------------------------------------------

  async #sendParts(created) {
    const concurrency = Math.min(this.#options.maxConcurrency, created.maxConcurrency);
    await this.#untilStored(created, async ({ parts = [] }) => {
      const stored = new Set(parts.filter((part) => part.size === sizeOf(created, this.#file, part.partNumber))
        .map((part) => part.partNumber));
      const missing = range(1, created.partCount).filter((number) => !stored.has(number));
      await this.#sendMissing(created, missing, concurrency);
      return true;
    });
  }

  /**
   * Send the missing parts, `concurrency` at a time. After a failure no further part is started, and those in flight
   * are completed: no request may be in flight while the broker lists the stored parts.
   */
  async #sendMissing(created, missing, concurrency) {
    const signed = batches(missing, 2 * concurrency, (numbers) => this.#broker.sign(created.uploadId, numbers));
    let next = 0;
    let hasFailed = false;
    const work = async () => {
      while (next < missing.length && !hasFailed) {
        const index = next++;
        const number = missing[index];
        const offset = (number - 1) * created.partSize;
        try {
          const bytes = this.#file.slice(offset, offset + created.partSize);
          await this.#put(await signed(index), bytes, number);
        } catch (error) {
          hasFailed = true;
          throw error;
        }
      }
    };
    const results = await Promise.allSettled(range(1, Math.min(concurrency, missing.length)).map(work));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  // --- Sending and retrying -------------------------------------------------------------------------------------------

  /** Call `send` until the store has the whole file. After a failure or a pause, request first what the store has. */
  async #untilStored(created, send) {
    for (;;) {
      await this.#untilResumed();
      try {
        const found = created.isNew ? EMPTY : await this.#status(created.uploadId);
        created.isNew = false;
        if (found.status === "uploaded" || found.status === "ready") return;
        this.#throwIfCancelled();
        this.#sending = new AbortController();
        if (this.#paused) continue;
        this.#meter.enter("sending", found.uploadedBytes);
        if (await send(found)) return;
      } catch (error) {
        await this.#backOff(error);
      }
    }
  }

  /** PUT bytes to the store; `name` identifies them for the progress. */
  async #put({ url, headers }, bytes, name) {
    const { status, code } = await put(url, headers, bytes, this.#sending.signal, (sent) => this.#meter.sending(name, sent))
      .catch(async (error) => {
        this.#meter.failed(name);
        throw (await isReadable(this.#file)) ? error : new UploadError("unreadable", "The file was changed, moved or deleted.");
      });
    if (status === 412 || (status >= 200 && status < 300)) { // 412: an earlier attempt was stored
      this.#failures = 0;
      this.#meter.stored(name, bytes.size);
      return;
    }
    this.#meter.failed(name);
    const text = `${new URL(url).host} returned ${status}${code ? ` (${code})` : ""}.`;
    throw new UploadError("store_refused", text, { status, retryable: true });
  }

  /** Return the track-ready response; null if parts are missing and `maySend` allows to send them. */
  async #confirm(uploadId, maySend) {
    for (;;) {
      this.#throwIfCancelled();
      try {
        const { status, body, retryAfterMs } = await this.#broker.confirm(uploadId);
        if (status === 200) return body;
        this.#failures = 0; // 202: the broker is promoting a large object
        await this.#sleep(retryAfterMs ?? CONFIRM_PAUSE_MS);
      } catch (error) {
        if (error.code === "upload_expired" || error.status === 404) throw EXPIRED;
        if (maySend && (error.code === "not_uploaded" || namesParts(error))) return null;
        await this.#backOff(error);
      }
    }
  }

  async #withRetries(work) {
    for (;;) {
      this.#throwIfCancelled();
      try {
        return await work();
      } catch (error) {
        await this.#backOff(error);
      }
    }
  }

  /** Wait before the next attempt; throw `error` if no attempt is left, or if a retry cannot succeed. */
  async #backOff(error) {
    this.#throwIfCancelled();
    if (this.#paused) return this.#untilResumed();
    if (!error.retryable || error === EXPIRED || ++this.#failures >= this.#options.maxAttempts) throw error;
    this.#meter.enter("waiting");
    const pauseMs = Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** this.#failures);
    await this.#sleep(Math.max(pauseMs, error.retryAfterMs ?? 0));
    if (globalThis.navigator?.onLine === false) await this.#untilEvent(globalThis, "online");
    this.#throwIfCancelled();
  }

  async #untilResumed() {
    if (this.#paused) await this.#paused.promise;
    this.#throwIfCancelled();
  }

  #throwIfCancelled() {
    if (this.#cancelled.signal.aborted) throw new UploadError("cancelled", "The upload was cancelled.");
  }

  #sleep(ms) {
    const alarm = new EventTarget();
    const timer = setTimeout(() => alarm.dispatchEvent(new Event("ring")), ms);
    return this.#untilEvent(alarm, "ring").finally(() => clearTimeout(timer));
  }

  /** Wait for an event of `target`, a pause or a cancellation. */
  #untilEvent(target, name) {
    const { promise, resolve } = deferred();
    const signals = [this.#cancelled.signal, this.#sending.signal].map((signal) => [signal, "abort"]);
    if (this.#cancelled.signal.aborted) return Promise.resolve();
    const all = [[target, name], ...signals];
    for (const [source, event] of all) source.addEventListener(event, resolve);
    return promise.finally(() => all.forEach(([source, event]) => source.removeEventListener(event, resolve)));
  }

  /** Abort the cancelled upload at the broker and forget it; return the error of the promise. */
  async #abort() {
    const { uploadId } = this.#memory.recall(this.#identity) ?? {};
    if (uploadId) await this.#broker.abort(uploadId).catch(() => {}); // the bucket's lifecycle rule removes the rest
    this.#memory.forget(this.#identity);
    return new UploadError("cancelled", "The upload was cancelled.");
  }
}

// --- The broker -------------------------------------------------------------------------------------------------------

class Broker {
  #api;
  #getToken;
  #token = null;

  constructor(origin, getToken) {
    this.#api = `${origin.replace(/\/$/, "")}/api/v1/uploads`;
    this.#getToken = getToken;
  }

  async create(declared, attempt) {
    return (await this.#request("POST", "", declared, { "Idempotency-Key": attempt })).body;
  }

  async sign(uploadId, partNumbers) {
    return (await this.#request("POST", `/${uploadId}/parts`, { partNumbers })).body.parts;
  }

  async status(uploadId) {
    return (await this.#request("GET", `/${uploadId}`)).body;
  }

  /** Return `status`, `body` and `retryAfterMs`. */
  confirm(uploadId) {
    return this.#request("POST", `/${uploadId}/confirm`);
  }

  /** Abort an upload. One that is unknown or confirmed is left as it is. */
  async abort(uploadId) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#request("DELETE", `/${uploadId}`);
      } catch (error) {
        if (error.status === 404 || error.code === "upload_confirmed") return null;
        if (!error.retryable || attempt === ABORT_ATTEMPTS_MAX) throw error;
        const pauseMs = Math.max(attempt * ABORT_PAUSE_MS, error.retryAfterMs ?? 0);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }

  async #request(method, path, document, headers = {}) {
    if (this.#token === null) await this.#renewToken(false);
    let response = await this.#fetch(method, path, document, headers);
    if (response.status === 401) {
      await this.#renewToken(true);
      response = await this.#fetch(method, path, document, headers);
    }
    const retryAfterMs = Number(response.headers.get("Retry-After")) * 1000 || undefined;
    const body = await response.json().catch(() => null);
    if (response.ok) return { status: response.status, body, retryAfterMs };
    throw errorOf(response.status, body ?? {}, retryAfterMs);
  }

  async #renewToken(refresh) {
    try {
      this.#token = await this.#getToken({ refresh });
    } catch (error) {
      throw new UploadError("unauthenticated", `getToken failed: ${error?.message ?? error}`);
    }
  }

  async #fetch(method, path, document, headers) {
    const content = document && { "Content-Type": "application/json" };
    try {
      return await fetch(this.#api + path, {
        method,
        headers: { Authorization: `Bearer ${this.#token}`, ...content, ...headers },
        body: document && JSON.stringify(document),
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(RESPONSE_TIMEOUT_MS),
      });
    } catch {
      throw new UploadError("network", "The broker did not respond.", { retryable: true });
    }
  }
}

function errorOf(status, { code = "unexpected_response", title, detail, requestId, errors }, retryAfterMs) {
  const retryable = status >= 500 || status === 429 || status === 408;
  const facts = { status, title, requestId, errors, retryable, retryAfterMs };
  return new UploadError(code, detail ?? `The broker returned ${status}.`, facts);
}

// --- The store --------------------------------------------------------------------------------------------------------

/** PUT to the store; resolves to its status and error code. fetch() reports no upload progress, XMLHttpRequest does. */
function put(url, headers, bytes, signal, onSent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    let timer = setTimeout(abort, STALL_TIMEOUT_MS);
    const fail = () => reject(new UploadError("network", `The connection to ${new URL(url).host} failed.`, { retryable: true }));
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => {
      clearTimeout(timer);
      timer = setTimeout(abort, STALL_TIMEOUT_MS);
      onSent(loaded);
    };
    request.onload = () => resolve({ status: request.status, code: /<Code>(\w+)<\/Code>/.exec(request.responseText)?.[1] });
    request.onerror = fail;
    request.onabort = fail;
    request.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    };
    signal.addEventListener("abort", abort);
    if (signal.aborted) return fail();
    request.send(bytes);
  });
}

async function isReadable(file) {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}

// --- Progress ---------------------------------------------------------------------------------------------------------

class Meter {
  #totalBytes;
  #onProgress;
  #phase = "starting";
  #storedBytes = 0;
  #inFlightBytes = new Map(); // by the name of the request
  #sentBytes = 0; // by all requests, failed ones too
  #samples = []; // [time in milliseconds, #sentBytes]
  #reportedAtMs = -Infinity;

  constructor(totalBytes, onProgress) {
    this.#totalBytes = totalBytes;
    this.#onProgress = onProgress;
  }

  /** Begin a phase, with the bytes that the store has. */
  enter(phase, storedBytes = this.#storedBytes) {
    this.#storedBytes = storedBytes;
    this.#inFlightBytes.clear();
    if (phase === this.#phase && this.#reportedAtMs > -Infinity) return;
    this.#phase = phase;
    this.#samples = [];
    this.#report();
  }

  sending(name, bytes) {
    this.#sentBytes += bytes - (this.#inFlightBytes.get(name) ?? 0);
    this.#inFlightBytes.set(name, bytes);
    if (performance.now() - this.#reportedAtMs >= REPORT_INTERVAL_MS) this.#report();
  }

  stored(name, bytes) {
    this.#inFlightBytes.delete(name);
    this.#storedBytes += bytes;
    this.#report();
  }

  failed(name) {
    this.#inFlightBytes.delete(name);
  }

  #report() {
    const nowMs = (this.#reportedAtMs = performance.now());
    const inFlightBytes = [...this.#inFlightBytes.values()].reduce((sum, bytes) => sum + bytes, 0);
    const loaded = Math.min(this.#storedBytes + inFlightBytes, this.#totalBytes);
    const total = this.#totalBytes;
    const bytesPerSecond = this.#bytesPerSecond(nowMs);
    const secondsLeft = bytesPerSecond > 0 ? (total - loaded) / bytesPerSecond : null;
    try {
      this.#onProgress?.({ phase: this.#phase, loaded, total, bytesPerSecond, secondsLeft });
    } catch (error) {
      globalThis.reportError?.(error); // an error of the page's callback does not end the upload
    }
  }

  #bytesPerSecond(nowMs) {
    if (this.#phase !== "sending") return 0;
    this.#samples = [...this.#samples.filter(([atMs]) => nowMs - atMs <= RATE_WINDOW_MS), [nowMs, this.#sentBytes]];
    const [[sinceMs, before]] = this.#samples;
    return nowMs > sinceMs ? ((this.#sentBytes - before) / (nowMs - sinceMs)) * 1000 : 0;
  }
}

// --- Remembered uploads -----------------------------------------------------------------------------------------------

function pageStorage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null; // a page in a sandbox: even reading the property throws
  }
}

class Memory {
  #storage;
  #prefix;
  #ofThisPage = new Map(); // the same entries, for pages without a storage

  constructor(storage, broker) {
    this.#storage = storage;
    this.#prefix = `${STORAGE_PREFIX}${broker}|`;
  }

  recall(identity) {
    const key = this.#key(identity);
    return this.#attempt((storage) => JSON.parse(storage.getItem(key))) ?? this.#ofThisPage.get(key) ?? null;
  }

  keep(identity, facts) {
    this.#ofThisPage.set(this.#key(identity), facts);
    this.#attempt((storage) => storage.setItem(this.#key(identity), JSON.stringify({ ...identity, ...facts })));
  }

  forget(identity) {
    this.#ofThisPage.delete(this.#key(identity));
    this.#attempt((storage) => storage.removeItem(this.#key(identity)));
  }

  all() {
    const keys = this.#attempt((storage) => range(0, storage.length - 1).map((index) => storage.key(index))) ?? [];
    return keys
      .filter((key) => key.startsWith(this.#prefix))
      .map((key) => this.#attempt((storage) => JSON.parse(storage.getItem(key))))
      .filter((facts) => facts?.size !== undefined)
      .map(({ uploadId = null, filename, contentType, size, lastModified, startedAtMs }) =>
        ({ uploadId, filename, contentType, size, lastModified, startedAtMs }))
      .sort((one, other) => one.startedAtMs - other.startedAtMs);
  }

  #key({ filename, size, lastModified, contentType }) {
    return this.#prefix + JSON.stringify([filename, size, lastModified, contentType]);
  }

  /** Return the result of `work`; null where the storage is full or forbidden: the upload then only forgets more. */
  #attempt(work) {
    try {
      return this.#storage ? work(this.#storage) : null;
    } catch {
      return null;
    }
  }
}

// --- Functions of several classes -------------------------------------------------------------------------------------

const range = (first, last) => Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
const randomHex = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const extension = (name) => name.split(".").pop().toLowerCase();
const sizeOf = ({ partSize }, { size }, number) => Math.min(partSize, size - (number - 1) * partSize);
const namesParts = ({ errors = [] }) => errors.some(({ pointer }) => pointer.startsWith("/parts/"));

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

/** Return a function from an index to the item's result of `load`, which is called for `size` items when one is needed. */
function batches(items, size, load) {
  const loaded = new Map();
  return async (index) => {
    const batch = Math.floor(index / size);
    if (!loaded.has(batch)) loaded.set(batch, load(items.slice(batch * size, (batch + 1) * size)));
    return (await loaded.get(batch))[index % size];
  };
}

const WORKER = `onmessage = async ({ data }) => {
  try { postMessage(await crypto.subtle.digest("SHA-256", await data.arrayBuffer())); } catch { postMessage(null); }
};`;

/** Return the SHA-256 in base64; null for a file that is too large, and on a page without a secure context. */
async function digest(file) {
  if (file.size > HASHED_MAX_BYTES || !globalThis.crypto?.subtle) return null;
  const hash = (await digestInWorker(file)) ?? (await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return btoa(String.fromCharCode(...new Uint8Array(hash)));
}

/** Return the SHA-256 from a worker; null where the page's Content-Security-Policy forbids workers. */
async function digestInWorker(file) {
  const url = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  try {
    const worker = new Worker(url);
    const hash = await new Promise((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = () => resolve(null);
      worker.postMessage(file);
    });
    worker.terminate();
    return hash;
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(url);
  }
}
