// What the tests of the modules share.

import { setTimeout as sleep } from "node:timers/promises";

export { sleep };

/** Wait until `holds` returns true; fail after a minute. */
export async function until(holds) {
  for (let left = 3000; !holds(); left--) {
    if (!left) throw new Error("it did not happen");
    await sleep(20);
  }
}

/** Replace the global `fetch` during a test by one that records and answers requests. */
export function fakeFetch(context, respond) {
  const { fetch } = globalThis;
  const requests = [];
  globalThis.fetch = async (url, init = {}) => {
    const request = { url: String(url), ...init };
    requests.push(request);
    return respond(request, requests.length);
  };
  context.after(() => (globalThis.fetch = fetch));
  return requests;
}

export const json = (body, status = 200, headers = {}) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });
