// The PUT requests to the store.

import { network } from "./errors.js";
import { millisecondsOf, within } from "./waiting.js";

const STALL_TIMEOUT_MS = 60_000; // a PUT that sends no byte for so long is aborted
const ANSWER_TIMEOUT_MS = 120_000; // after the last byte: a proxy may scan or forward the whole body before it responds ...
const ANSWER_BYTES_PER_MS = 100; // ... which takes longer for more bytes
const ANSWER_TIMEOUT_MAX_MS = 1_800_000;
const BLIND_BYTES_PER_MS = 32; // the slowest connection, where bytes that leave cannot be seen

const answerTimeoutMs = (bytes) => Math.min(ANSWER_TIMEOUT_MS + bytes / ANSWER_BYTES_PER_MS, ANSWER_TIMEOUT_MAX_MS);

const respondedHosts = new Set();

/**
 * PUT bytes to the store; resolve to `status`, the error `code` of the store, and `retryAfterMs`.
 *
 * fetch() reports no upload progress. XMLHttpRequest does, but Node.js and service workers do not have it.
 */
export async function put(url, headers, bytes, signal, onSent) {
  const send = globalThis.XMLHttpRequest ? putWithProgress : putWithFetch;
  const response = await send(url, headers, bytes, signal, onSent).catch(() => null);
  const { host } = new URL(url);
  if (!response) throw network(`The connection to ${host} failed.${hint(host)}`);
  respondedHosts.add(host);
  return response;
}

/** Return what may be wrong where a page has never read a response of this store. */
function hint(host) {
  const page = globalThis.location?.origin;
  return page && !respondedHosts.has(host) ? ` Check that the CORS rules of its bucket contain ${page}.` : "";
}

function putWithProgress(url, headers, bytes, signal, onSent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    let timer;
    const wait = (ms) => {
      clearTimeout(timer);
      timer = setTimeout(abort, ms);
    };
    request.open("PUT", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => {
      wait(loaded < bytes.size ? STALL_TIMEOUT_MS : answerTimeoutMs(bytes.size));
      onSent(loaded);
    };
    request.upload.onload = () => wait(answerTimeoutMs(bytes.size));
    request.onload = () => {
      // getResponseHeader() of a field that CORS does not expose logs an error in Chromium.
      const retryAfter = /^retry-after: *(.+?)\r?$/im.exec(request.getAllResponseHeaders())?.[1];
      resolve(responseOf(request.status, request.responseText, retryAfter));
    };
    request.onerror = request.onabort = reject;
    request.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    };
    signal.addEventListener("abort", abort);
    if (signal.aborted) return reject();
    wait(STALL_TIMEOUT_MS);
    request.send(bytes);
  });
}

function putWithFetch(url, headers, body, signal) {
  return within(answerTimeoutMs(body.size) + body.size / BLIND_BYTES_PER_MS, signal, async (ended) => {
    const response = await fetch(url, { method: "PUT", headers, body, credentials: "omit", signal: ended });
    return responseOf(response.status, await response.text(), response.headers.get("Retry-After"));
  });
}

function responseOf(status, text, retryAfter) {
  return { status, code: /<Code>(\w+)<\/Code>/.exec(text)?.[1], retryAfterMs: millisecondsOf(retryAfter) };
}

/** Whether the file can be read: it may have been changed, moved or deleted since it was chosen. */
export function isReadable(file) {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}
