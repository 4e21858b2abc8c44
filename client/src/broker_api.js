// The requests to the broker, with the bearer token.

import { network, UploadError } from "./errors.js";
import { millisecondsOf, NEVER, within } from "./waiting.js";

const RESPONSE_TIMEOUT_MS = 120_000; // confirming a large file takes long
const TOKEN_TIMEOUT_MS = 300_000; // getToken may let a person sign in
const ABORT_ATTEMPTS_MAX = 4; // requests to abort one upload
const ABORT_PAUSE_MS = 500; // times the number of the attempt
const LIMITS_TIMEOUT_MS = 10_000;
const LIMITS_LIFETIME_MS = 300_000;
const CREATE_GRACE_MS = 5_000; // for a create in flight at a cancellation: without its response nothing can be removed

const limitsByBroker = new Map(); // { atMs, promise }

export class BrokerApi {
  #base;
  #getToken;
  #token = null; // a promise, which concurrent requests share
  #hasResponded = false;

  /** @param {{ broker?: string, getToken?: (why: { refresh: boolean }) => any }} [options] */
  constructor({ broker = "", getToken } = {}) {
    this.#base = `${`${broker}`.replace(/\/$/, "")}/api/v1/uploads`;
    this.#getToken = getToken;
  }

  /** Create an upload. The same idempotency key returns the same upload, with a fresh URL. */
  async create(declared, idempotencyKey, signal) {
    const late = new AbortController();
    signal.addEventListener("abort", () => setTimeout(() => late.abort(), CREATE_GRACE_MS));
    return (await this.#request("POST", "", late.signal, declared, { "Idempotency-Key": idempotencyKey })).body;
  }

  async sign(uploadId, partNumbers, signal) {
    return (await this.#request("POST", `/${uploadId}/parts`, signal, { partNumbers })).body.parts;
  }

  async status(uploadId, signal) {
    return (await this.#request("GET", `/${uploadId}`, signal)).body;
  }

  /** Return `status`, `body` and `retryAfterMs`. */
  confirm(uploadId, signal) {
    return this.#request("POST", `/${uploadId}/confirm`, signal);
  }

  /** Abort an upload. One that is unknown or confirmed is left as it is. */
  async abort(uploadId) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#request("DELETE", `/${uploadId}`, NEVER);
      } catch (error) {
        if (error.status === 404 || error.code === "upload_confirmed") return null;
        if (!error.retryable || error.status === 401 || attempt === ABORT_ATTEMPTS_MAX) throw error;
        const pauseMs = Math.max(attempt * ABORT_PAUSE_MS, error.retryAfterMs ?? 0);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  }

  /** Return the limits of the broker, as `getLimits` of broker-upload.d.ts. They need no token. */
  limits() {
    const known = limitsByBroker.get(this.#base);
    if (known && Date.now() - known.atMs < LIMITS_LIFETIME_MS) return known.promise;
    const promise = this.#requestLimits();
    limitsByBroker.set(this.#base, { atMs: Date.now(), promise });
    promise.catch(() => limitsByBroker.delete(this.#base));
    return promise;
  }

  async #requestLimits() {
    const response = await this.#fetch("/status", {}, NEVER, LIMITS_TIMEOUT_MS);
    if (response.status !== 200) throw errorOf(response);
    const { maxBytes = null, multipartThreshold = null, types = null } = response.body ?? {};
    return { maxBytes, multipartThresholdBytes: multipartThreshold, types };
  }

  async #request(method, path, signal, document, headers = {}) {
    for (let isRefreshed = false; ; isRefreshed = true) {
      const used = (this.#token ??= this.#renewToken(false));
      const content = document && { "Content-Type": "application/json" };
      const init = {
        method,
        headers: { Authorization: `Bearer ${await this.#tokenOf(used, signal)}`, ...content, ...headers },
        body: document && JSON.stringify(document),
      };
      const response = await this.#fetch(path, init, signal, RESPONSE_TIMEOUT_MS);
      if (response.status >= 200 && response.status < 300) return checked(response);
      if (response.status !== 401 || isRefreshed) throw errorOf(response);
      if (this.#token === used) this.#token = this.#renewToken(true); // another request may have renewed it meanwhile
    }
  }

  async #tokenOf(promise, signal) {
    try {
      return await within(TOKEN_TIMEOUT_MS, signal, () => promise);
    } catch (error) {
      if (this.#token === promise && !signal.aborted) this.#token = null; // the next request calls getToken again
      const facts = { retryable: error?.retryable !== false };
      throw new UploadError("unauthenticated", `getToken failed: ${error?.message ?? error}`, facts);
    }
  }

  async #renewToken(refresh) {
    const token = await this.#getToken({ refresh });
    if (typeof token !== "string" || !token) throw new Error("it returned no token");
    return token;
  }

  /** Return the status, body and Retry-After of a response. A body that is not JSON is null. */
  async #fetch(path, init, signal, timeoutMs) {
    try {
      return await within(timeoutMs, signal, async (ended) => {
        const same = { ...init, credentials: "omit", cache: "no-store", signal: ended };
        const response = await fetch(this.#base + path, same);
        this.#hasResponded = true;
        const body = await response.json().catch(() => null);
        return { status: response.status, body, retryAfterMs: millisecondsOf(response.headers.get("Retry-After")) };
      });
    } catch {
      throw network(`The broker did not respond.${this.#hasResponded ? "" : this.#hint()}`);
    }
  }

  /** Return what may be wrong where a page has never read a response of a broker on another origin. */
  #hint() {
    const page = globalThis.location?.origin;
    const isOther = page && /^https?:/.test(this.#base) && !this.#base.startsWith(`${page}/`);
    return isOther ? ` If it runs, check that its BROKER_CORS_ORIGINS contains ${page}.` : "";
  }
}

/** Return a response that has the broker's form: a captive portal and a proxy send pages of their own. */
function checked(response) {
  if (response.body || response.status === 204) return response;
  const facts = { status: response.status, retryable: true };
  throw new UploadError("unexpected_response", "The response is not the broker's.", facts);
}

function errorOf({ status, body, retryAfterMs }) {
  const { code = "unexpected_response", title, detail, requestId, errors } = body ?? {};
  const retryable = status >= 500 || status === 429 || status === 408 || status === 401;
  const facts = { status, title, requestId, errors, retryable, retryAfterMs };
  return new UploadError(code, detail ?? `The broker returned ${status}.`, facts);
}
