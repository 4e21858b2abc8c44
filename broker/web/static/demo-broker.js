// The page's own requests to the broker. broker-upload.js makes those of the uploads.

import { getToken } from "./demo-access.js";

const CONFIRM_MAX = 100; // uploads in one request
const KEYS_MAX = 1_000; // keys in one request
const GATHER_MS = 20; // in which links are gathered into one request

/** Return the broker's response; throw an Error with the problem's `code` and `requestId`. */
async function request(method, path, document, { refresh = false } = {}) {
  const content = document && { "Content-Type": "application/json" };
  const headers = { Authorization: `Bearer ${await getToken({ refresh })}`, ...content };
  const body = document && JSON.stringify(document);
  const response = await fetch(`/api/v1${path}`, { method, headers, body }).catch(() => {
    throw Object.assign(new Error("The broker did not respond."), { code: "network" });
  });
  if (response.status === 401 && !refresh) return request(method, path, document, { refresh: true });
  const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw Object.assign(new Error(answer.detail ?? `The broker returned ${response.status}.`), answer);
}

export const deleteObject = (key) => request("DELETE", `/objects/${key}`);

/** Confirm many uploads with few requests; return the result of each by its id. */
export async function confirmAll(uploadIds) {
  const results = await inBatches(uploadIds, CONFIRM_MAX, async (batch) => {
    return (await request("POST", "/uploads/confirm", { uploadIds: batch })).results;
  });
  return new Map(uploadIds.map((uploadId, index) => [uploadId, results[index]]));
}

/** Return a link that plays or shows an object. */
export const inlineLink = (key) => request("GET", `/downloads/${key}?disposition=inline`);

/** Return a link that saves an object under a name. */
export const namedLink = (key, filename) =>
  request("GET", `/downloads/${key}?${new URLSearchParams({ disposition: "attachment", filename })}`);

let gathered = null; // { keys, promise }

/** Return a link that saves an object. Links that are needed at the same time are requested together. */
export async function link(key) {
  gathered ??= gather();
  gathered.keys.push(key);
  return (await gathered.promise).get(key);
}

function gather() {
  const keys = [];
  const promise = new Promise((resolve) => setTimeout(resolve, GATHER_MS)).then(async () => {
    gathered = null;
    const links = await inBatches([...new Set(keys)], KEYS_MAX, async (batch) => {
      return (await request("POST", "/downloads", { keys: batch, disposition: "attachment" })).downloads;
    });
    return new Map(links.map((one) => [one.key, one]));
  });
  return { keys, promise };
}

async function inBatches(items, size, load) {
  const results = [];
  for (let start = 0; start < items.length; start += size) {
    results.push(...(await load(items.slice(start, start + size))));
  }
  return results;
}
