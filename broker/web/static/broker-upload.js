// A file from the browser straight to the store. The broker signs and confirms; the bytes never pass through it.
//
// What the store has is the truth, and only the broker is asked for it: after a failure, a pause or a reload, an upload
// goes on with the parts that are missing. What is remembered between page loads is no more than which upload it was.

/** The version of this module, which is the package's. A release changes both. */
export const version = "0.1.0";

const REMEMBERED = "broker-upload:"; // begins the keys in the storage
const HASHED_MAX = 64 * 2 ** 20; // bytes of a file that is read at once to be hashed
const STALLED = 60_000; // milliseconds without a byte, after which a transfer counts as cut
const ANSWERED = 120_000; // milliseconds in which the broker must have answered; confirming a large file takes long
const BACKOFF = [500, 20_000]; // milliseconds: the first pause, at its longest, and the longest of all
const REPORTED = 100; // milliseconds between two reports of progress
const RATED = 5_000; // milliseconds over which the rate is taken

const TYPES = {
  aac: "audio/aac", aif: "audio/aiff", aiff: "audio/aiff", flac: "audio/flac", gif: "image/gif", jpeg: "image/jpeg",
  jpg: "image/jpeg", m4a: "audio/mp4", mp3: "audio/mpeg", mp4: "video/mp4", oga: "audio/ogg", ogg: "audio/ogg",
  opus: "audio/ogg", png: "image/png", wav: "audio/wav", weba: "audio/webm", webm: "video/webm", webp: "image/webp",
}; // for what a browser leaves unnamed

/** Why an upload ended. */
export class UploadError extends Error {
  /** @param {Record<string, any>} [facts] what stands in broker-upload.d.ts, and `wait`: milliseconds */
  constructor(code, message, facts = {}) {
    super(message);
    Object.assign(this, { name: "UploadError", code, retryable: false, ...facts });
  }
}

/** Upload a file and confirm it. The types stand in broker-upload.d.ts. */
export function upload(file, options) {
  const run = new Run(file, options);
  const promise = run.settle();
  return Object.assign(promise, {
    pause: () => run.pause(),
    resume: () => run.resume(),
    cancel: () => run.cancel(),
  });
}

/** The unfinished uploads that this browser remembers, oldest first. */
export function unfinished({ broker = "", storage = ownStorage() } = {}) {
  return new Memory(storage, broker).all();
}

/** Give one of them up. */
export async function discard({ uploadId, ...identity }, { broker = "", storage = ownStorage(), getToken }) {
  if (uploadId) await new Broker(broker, getToken).abort(uploadId);
  new Memory(storage, broker).forget(identity);
}

// --- One upload -------------------------------------------------------------------------------------------------------

/** Thrown where an upload is found to be gone from the store: it must be begun anew. */
const GONE = new UploadError("upload_expired", "The upload has expired.", { status: 410, retryable: true });

const NOTHING = { status: "pending", uploadedBytes: 0 }; // what the store has of an upload that was just created
const MENDED = 3; // times that what confirm misses is sent again

class Run {
  #file;
  #options;
  #broker;
  #memory;
  #meter;
  #identity;
  #declared;
  #failures = 0; // in a row, without a byte stored between them
  #gate = null; // while paused: a promise, and what resolves it
  #stop = new AbortController(); // cancelled
  #flight = new AbortController(); // of what is being sent now

  constructor(file, options) {
    const { broker = "", storage = ownStorage(), getToken, onProgress, signal } = options;
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
    if (this.#gate || this.#stop.signal.aborted) return;
    this.#gate = deferred();
    this.#flight.abort();
    this.#meter.enter("paused");
  }

  resume() {
    this.#gate?.resolve();
    this.#gate = null;
  }

  cancel() {
    this.#stop.abort();
    this.#flight.abort();
    this.resume();
  }

  /** The track-ready answer. Whatever ends the upload otherwise is an UploadError. */
  async settle() {
    try {
      this.#check();
      if (this.#options.checksum && !this.#declared.multipart) await this.#hash();
      const track = await this.#whole().catch((error) => (error === GONE ? this.#anew() : Promise.reject(error)));
      this.#memory.forget(this.#identity);
      this.#meter.enter("ready", this.#file.size);
      return track;
    } catch (error) {
      if (this.#stop.signal.aborted) throw await this.#cancelled();
      const isRefused = error.status >= 400 && error.status !== 401 && !error.retryable;
      if (isRefused) this.#memory.forget(this.#identity); // for good; whatever else it was, the same file may go on
      throw error instanceof UploadError ? error : new UploadError("unexpected_answer", String(error));
    }
  }

  async #hash() {
    this.#meter.enter("hashing");
    const sha256 = await digest(this.#file);
    if (sha256) this.#declared.sha256 = sha256;
  }

  #anew() {
    this.#memory.forget(this.#identity);
    return this.#whole();
  }

  /** All steps. What an earlier run has done of them is not done again. */
  async #whole() {
    this.#meter.enter("starting");
    const made = (await this.#known()) ?? { ...(await this.#create()), isNew: true };
    for (let mended = 0; ; mended++) {
      await (made.method === "MULTIPART" ? this.#sendParts(made) : this.#sendWhole(made));
      this.#meter.enter("confirming", this.#file.size);
      const track = await this.#confirm(made.uploadId, mended < MENDED);
      if (track) return track;
    }
  }

  /** What an earlier run has created for this file, if it is still there for whoever runs this. */
  async #known() {
    const known = this.#memory.recall(this.#identity);
    if (!known?.uploadId) return null;
    try {
      await this.#patiently(() => this.#look(known.uploadId));
      return known;
    } catch (error) {
      if (error !== GONE && error.code !== "upload_deleted") throw error;
      this.#memory.forget(this.#identity);
      return null;
    }
  }

  /** The same attempt gets the same upload, with a URL that is fresh. */
  async #create() {
    const known = this.#memory.recall(this.#identity) ?? { attempt: nonce(), startedAt: Date.now() };
    this.#memory.keep(this.#identity, known);
    const made = await this.#patiently(() => this.#broker.create(this.#declared, known.attempt));
    const { uploadId, method, partSize, partCount, maxConcurrency } = made;
    this.#memory.keep(this.#identity, { ...known, uploadId, method, partSize, partCount, maxConcurrency });
    return made;
  }

  async #look(uploadId) {
    const found = await this.#broker.look(uploadId).catch((error) => {
      throw error.status === 404 ? GONE : error; // another user's, or the broker's secret has changed
    });
    if (found.status === "expired") throw GONE;
    if (found.status === "deleted") throw new UploadError("upload_deleted", "The upload was deleted.", { status: 410 });
    return found;
  }

  // --- One PUT --------------------------------------------------------------------------------------------------------

  async #sendWhole(made) {
    let { url, headers } = made;
    await this.#untilStored(made, async () => {
      if (!url) ({ url, headers } = await this.#create()); // known from before, or tried before: its URL may be too old
      const used = url;
      url = null;
      await this.#put({ url: used, headers }, this.#file, "whole");
      return true;
    });
  }

  // --- Parts ----------------------------------------------------------------------------------------------------------

  async #sendParts(made) {
    const wanted = Math.min(this.#options.maxConcurrency, made.maxConcurrency);
    await this.#untilStored(made, async ({ parts = [] }) => {
      const stored = new Set(parts.filter((part) => part.size === sizeOf(made, this.#file, part.partNumber))
        .map((part) => part.partNumber));
      const missing = range(1, made.partCount).filter((number) => !stored.has(number));
      await this.#round(made, missing, wanted);
      return true;
    });
  }

  /**
   * Send what is missing, some at a time. A failure lets what is in flight come to its end, and ends the round: then
   * nothing is under way when the broker is asked what is stored.
   */
  async #round(made, missing, concurrency) {
    const signed = batches(missing, 2 * concurrency, (numbers) => this.#broker.sign(made.uploadId, numbers));
    let next = 0;
    let failed = false;
    const work = async () => {
      while (next < missing.length && !failed) {
        const index = next++;
        const number = missing[index];
        const first = (number - 1) * made.partSize;
        try {
          const bytes = this.#file.slice(first, first + made.partSize);
          await this.#put(await signed(index), bytes, number);
        } catch (error) {
          failed = true;
          throw error;
        }
      }
    };
    const ends = await Promise.allSettled(range(1, Math.min(concurrency, missing.length)).map(work));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  // --- Sending, and what may go wrong ---------------------------------------------------------------------------------

  /** Send until the store has all: after each failure, or pause, it is asked first what it has. */
  async #untilStored(made, send) {
    for (;;) {
      await this.#open();
      try {
        const found = made.isNew ? NOTHING : await this.#look(made.uploadId);
        made.isNew = false;
        if (found.status === "uploaded" || found.status === "ready") return;
        this.#check();
        this.#flight = new AbortController();
        if (this.#gate) continue;
        this.#meter.enter("sending", found.uploadedBytes);
        if (await send(found)) return;
      } catch (error) {
        await this.#survive(error);
      }
    }
  }

  /** One PUT to the store; counts the bytes as they leave. */
  async #put({ url, headers }, bytes, name) {
    const { status, code } = await put(url, headers, bytes, this.#flight.signal, (loaded) => this.#meter.sending(name, loaded))
      .catch(async (error) => {
        this.#meter.dropped(name);
        throw (await isReadable(this.#file)) ? error : new UploadError("unreadable", "The file was changed or is gone.");
      });
    if (status === 412 || (status >= 200 && status < 300)) { // 412: an earlier attempt has stored it
      this.#failures = 0;
      this.#meter.landed(name, bytes.size);
      return;
    }
    this.#meter.dropped(name);
    const words = `${new URL(url).host} answered ${status}${code ? ` (${code})` : ""}.`;
    throw new UploadError("store_refused", words, { status, retryable: true });
  }

  /** The track-ready answer; null when something has to be sent again, and may be. */
  async #confirm(uploadId, maySend) {
    for (;;) {
      this.#check();
      try {
        const { status, body, wait } = await this.#broker.confirm(uploadId);
        if (status === 200) return body;
        this.#failures = 0; // 202: a large object is being promoted
        await this.#sleep(wait ?? 1000);
      } catch (error) {
        if (error.code === "upload_expired" || error.status === 404) throw GONE;
        if (maySend && (error.code === "not_uploaded" || namesParts(error))) return null;
        await this.#survive(error);
      }
    }
  }

  /** Do ``work`` again after what may pass. */
  async #patiently(work) {
    for (;;) {
      this.#check();
      try {
        return await work();
      } catch (error) {
        await this.#survive(error);
      }
    }
  }

  /** Wait before another attempt, or throw ``error`` when there is to be none. */
  async #survive(error) {
    this.#check();
    if (this.#gate) return this.#open();
    if (!error.retryable || error === GONE || ++this.#failures >= this.#options.maxAttempts) throw error;
    this.#meter.enter("waiting");
    const [first, most] = BACKOFF;
    const jittered = Math.random() * Math.min(most, first * 2 ** this.#failures);
    await this.#sleep(Math.max(jittered, error.wait ?? 0));
    if (globalThis.navigator?.onLine === false) await this.#event(globalThis, "online");
    this.#check();
  }

  async #open() {
    if (this.#gate) await this.#gate.promise;
    this.#check();
  }

  #check() {
    if (this.#stop.signal.aborted) throw new UploadError("cancelled", "The upload was cancelled.");
  }

  #sleep(milliseconds) {
    const alarm = new EventTarget();
    const timer = setTimeout(() => alarm.dispatchEvent(new Event("ring")), milliseconds);
    return this.#event(alarm, "ring").finally(() => clearTimeout(timer));
  }

  /** Until ``target`` fires, or the upload is paused or cancelled. */
  #event(target, name) {
    const { promise, resolve } = deferred();
    const signals = [this.#stop.signal, this.#flight.signal].map((signal) => [signal, "abort"]);
    if (this.#stop.signal.aborted) return Promise.resolve();
    const all = [[target, name], ...signals];
    for (const [source, event] of all) source.addEventListener(event, resolve);
    return promise.finally(() => all.forEach(([source, event]) => source.removeEventListener(event, resolve)));
  }

  async #cancelled() {
    const { uploadId } = this.#memory.recall(this.#identity) ?? {};
    if (uploadId) await this.#broker.abort(uploadId).catch(() => {}); // the bucket's lifecycle rule removes what stays
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
    return (await this.#ask("POST", "", declared, { "Idempotency-Key": attempt })).body;
  }

  async sign(uploadId, partNumbers) {
    return (await this.#ask("POST", `/${uploadId}/parts`, { partNumbers })).body.parts;
  }

  async look(uploadId) {
    return (await this.#ask("GET", `/${uploadId}`)).body;
  }

  /** Status, body, and how many milliseconds to wait before asking again. */
  confirm(uploadId) {
    return this.#ask("POST", `/${uploadId}/confirm`);
  }

  /** Tried a few times. Of an upload that is unknown there is nothing to remove; of one that is confirmed, nothing is. */
  async abort(uploadId) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#ask("DELETE", `/${uploadId}`);
      } catch (error) {
        if (error.status === 404 || error.code === "upload_confirmed") return null;
        if (!error.retryable || attempt === 4) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.max(attempt * 500, error.wait ?? 0)));
      }
    }
  }

  async #ask(method, path, document, headers = {}) {
    if (this.#token === null) await this.#renew(false);
    let answer = await this.#send(method, path, document, headers);
    if (answer.status === 401) {
      await this.#renew(true);
      answer = await this.#send(method, path, document, headers);
    }
    const wait = Number(answer.headers.get("Retry-After")) * 1000 || undefined;
    const body = await answer.json().catch(() => null);
    if (answer.ok) return { status: answer.status, body, wait };
    throw refusal(answer.status, body ?? {}, wait);
  }

  async #renew(refresh) {
    try {
      this.#token = await this.#getToken({ refresh });
    } catch (error) {
      throw new UploadError("unauthenticated", `There is no token: ${error?.message ?? error}`);
    }
  }

  async #send(method, path, document, headers) {
    const content = document && { "Content-Type": "application/json" };
    try {
      return await fetch(this.#api + path, {
        method,
        headers: { Authorization: `Bearer ${this.#token}`, ...content, ...headers },
        body: document && JSON.stringify(document),
        credentials: "omit",
        cache: "no-store",
        signal: AbortSignal.timeout(ANSWERED),
      });
    } catch {
      throw new UploadError("network", "The broker does not answer.", { retryable: true });
    }
  }
}

function refusal(status, { code = "unexpected_answer", title, detail, requestId, errors }, wait) {
  const retryable = status >= 500 || status === 429 || status === 408;
  return new UploadError(code, detail ?? `The broker answered ${status}.`, { status, title, requestId, errors, retryable, wait });
}

// --- The store --------------------------------------------------------------------------------------------------------

/** One PUT: the store's status and error code. By XMLHttpRequest, which tells how much it has sent. */
function put(url, headers, bytes, signal, onSent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const cut = () => request.abort();
    let timer = setTimeout(cut, STALLED);
    const fail = () => reject(new UploadError("network", `The connection to ${new URL(url).host} failed.`, { retryable: true }));
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => {
      clearTimeout(timer);
      timer = setTimeout(cut, STALLED);
      onSent(loaded);
    };
    request.onload = () => resolve({ status: request.status, code: /<Code>(\w+)<\/Code>/.exec(request.responseText)?.[1] });
    request.onerror = fail;
    request.onabort = fail;
    request.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", cut);
    };
    signal.addEventListener("abort", cut);
    if (signal.aborted) return fail();
    request.send(bytes);
  });
}

async function isReadable(file) {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}

// --- Progress ---------------------------------------------------------------------------------------------------------

class Meter {
  #total;
  #report;
  #phase = "starting";
  #stored = 0;
  #flying = new Map(); // bytes that have left, by what is being sent
  #sent = 0; // all bytes that ever left
  #samples = [];
  #reported = -Infinity;

  constructor(total, report) {
    this.#total = total;
    this.#report = report;
  }

  /** Another phase begins; ``stored`` are the bytes that the store has. */
  enter(phase, stored = this.#stored) {
    this.#stored = stored;
    this.#flying.clear();
    if (phase === this.#phase && this.#reported > -Infinity) return;
    this.#phase = phase;
    this.#samples = [];
    this.#tell();
  }

  sending(name, loaded) {
    this.#sent += loaded - (this.#flying.get(name) ?? 0);
    this.#flying.set(name, loaded);
    if (performance.now() - this.#reported >= REPORTED) this.#tell();
  }

  landed(name, size) {
    this.#flying.delete(name);
    this.#stored += size;
    this.#tell();
  }

  dropped(name) {
    this.#flying.delete(name);
  }

  #tell() {
    const now = (this.#reported = performance.now());
    const flying = [...this.#flying.values()].reduce((sum, bytes) => sum + bytes, 0);
    const loaded = Math.min(this.#stored + flying, this.#total);
    const rate = this.#rate(now);
    const secondsLeft = rate > 0 ? (this.#total - loaded) / rate : null;
    try {
      this.#report?.({ phase: this.#phase, loaded, total: this.#total, rate, secondsLeft });
    } catch (error) {
      globalThis.reportError?.(error); // what the page does with it is the page's affair
    }
  }

  #rate(now) {
    if (this.#phase !== "sending") return 0;
    this.#samples = [...this.#samples.filter(([time]) => now - time <= RATED), [now, this.#sent]];
    const [[since, before]] = this.#samples;
    return now > since ? ((this.#sent - before) / (now - since)) * 1000 : 0;
  }
}

// --- What is remembered -----------------------------------------------------------------------------------------------

function ownStorage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null; // a page that may not store anything
  }
}

class Memory {
  #storage;
  #prefix;
  #own = new Map(); // the same, for as long as the page is there

  constructor(storage, broker) {
    this.#storage = storage;
    this.#prefix = `${REMEMBERED}${broker}|`;
  }

  recall(identity) {
    const key = this.#key(identity);
    return this.#attempt((storage) => JSON.parse(storage.getItem(key))) ?? this.#own.get(key) ?? null;
  }

  keep(identity, facts) {
    this.#own.set(this.#key(identity), facts);
    this.#attempt((storage) => storage.setItem(this.#key(identity), JSON.stringify({ ...identity, ...facts })));
  }

  forget(identity) {
    this.#own.delete(this.#key(identity));
    this.#attempt((storage) => storage.removeItem(this.#key(identity)));
  }

  all() {
    const keys = this.#attempt((storage) => range(0, storage.length - 1).map((index) => storage.key(index))) ?? [];
    return keys
      .filter((key) => key.startsWith(this.#prefix))
      .map((key) => this.#attempt((storage) => JSON.parse(storage.getItem(key))))
      .filter((facts) => facts?.size !== undefined)
      .map(({ uploadId = null, filename, contentType, size, lastModified, startedAt }) =>
        ({ uploadId, filename, contentType, size, lastModified, startedAt }))
      .sort((one, other) => one.startedAt - other.startedAt);
  }

  #key({ filename, size, lastModified, contentType }) {
    return this.#prefix + JSON.stringify([filename, size, lastModified, contentType]);
  }

  /** A storage that is full, or not allowed, makes uploads forgetful and nothing worse. */
  #attempt(work) {
    try {
      return this.#storage ? work(this.#storage) : null;
    } catch {
      return null;
    }
  }
}

// --- Small things -----------------------------------------------------------------------------------------------------

const range = (first, last) => Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
const nonce = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const extension = (name) => name.split(".").pop().toLowerCase();
const sizeOf = ({ partSize }, { size }, number) => Math.min(partSize, size - (number - 1) * partSize);
const namesParts = ({ errors = [] }) => errors.some(({ pointer }) => pointer.startsWith("/parts/"));

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

/** What ``ask`` answers for the item at an index, asked for so many items at once, and only when one is wanted. */
function batches(items, size, ask) {
  const asked = new Map();
  return async (index) => {
    const batch = Math.floor(index / size);
    if (!asked.has(batch)) asked.set(batch, ask(items.slice(batch * size, (batch + 1) * size)));
    return (await asked.get(batch))[index % size];
  };
}

const HASHER = `onmessage = async ({ data }) => {
  try { postMessage(await crypto.subtle.digest("SHA-256", await data.arrayBuffer())); } catch { postMessage(null); }
};`;

/** The SHA-256 in base64, or null of a file too large, and where a page may not hash (it has no secure origin). */
async function digest(file) {
  if (file.size > HASHED_MAX || !globalThis.crypto?.subtle) return null;
  const hash = (await hashedAside(file)) ?? (await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return btoa(String.fromCharCode(...new Uint8Array(hash)));
}

/** The hash from a worker; null where the page's policy allows none. */
async function hashedAside(file) {
  const url = URL.createObjectURL(new Blob([HASHER], { type: "text/javascript" }));
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
