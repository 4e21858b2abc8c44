// Requests of the Uppy module to the broker, with the bearer token and with retries.

const PAUSES_MS = [500, 1000, 2000, 4000, 8000, 8000, 8000];
const RETRIED = [408, 425, 429];

export const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Calls {
  #base;
  #getToken;
  #token = null; // a promise, which concurrent requests share

  constructor(broker, getToken) {
    this.#base = broker.replace(/\/$/, "");
    this.#getToken = getToken;
  }

  /** Return the body of a success; throw an error with the broker's text. A failure that may pass is retried. */
  async send(method, path, signal, document) {
    for (let attempt = 0, isRefreshed = false; ; ) {
      const used = (this.#token ??= this.#renewed(false));
      const response = await this.#fetch(method, path, signal, document, await used);
      if (signal?.aborted) throw new DOMException("The upload was stopped.", "AbortError");
      if (response?.ok) return response.status === 204 ? {} : response.json();
      if (response?.status === 401 && !isRefreshed) {
        isRefreshed = true;
        if (this.#token === used) this.#token = this.#renewed(true); // another request may have renewed it meanwhile
        continue;
      }
      const mayPass = !response || response.status >= 500 || RETRIED.includes(response.status);
      if (!mayPass || attempt === PAUSES_MS.length) throw await errorOf(response);
      const afterMs = (Number(response?.headers.get("Retry-After")) || 0) * 1000;
      await delay(Math.max(PAUSES_MS[attempt++], afterMs));
    }
  }

  #renewed(refresh) {
    const token = Promise.resolve(this.#getToken({ refresh }));
    token.catch(() => (this.#token = null)); // the next request calls getToken again
    return token;
  }

  async #fetch(method, path, signal, document, token) {
    const headers = { Authorization: `Bearer ${token}`, ...(document && { "Content-Type": "application/json" }) };
    const body = document && JSON.stringify(document);
    try {
      return await fetch(this.#base + path, { method, headers, body, signal, credentials: "omit", cache: "no-store" });
    } catch {
      return null;
    }
  }
}

async function errorOf(response) {
  const { message, code, requestId } = (await response?.json().catch(() => null)) ?? {};
  const text = response ? `The broker returned ${response.status}.` : "The broker did not respond.";
  return Object.assign(new Error(message ?? text), { code: code ?? "network", status: response?.status, requestId });
}
