import assert from "node:assert/strict";
import { test } from "node:test";

import { BrokerApi } from "../src/broker_api.js";
import { NEVER } from "../src/waiting.js";
import { fakeFetch, json } from "./support.js";

const broker = "https://broker.example/";

test("shares one token between concurrent requests, and renews it once", async (context) => {
  const calls = [];
  let token = "old";
  const getToken = async ({ refresh }) => (calls.push(refresh), refresh ? (token = "new") : "old");
  fakeFetch(context, ({ headers }) => json({}, headers.Authorization === "Bearer new" ? 200 : 401));
  const api = new BrokerApi({ broker, getToken });
  await Promise.all([1, 2, 3].map(() => api.status("x", NEVER)));
  assert.deepEqual([calls, token], [[false, true], "new"]);
});

test("a token that stays invalid is an error, which the page may retry", async (context) => {
  fakeFetch(context, () => json({ code: "unauthenticated", detail: "no" }, 401));
  const api = new BrokerApi({ broker, getToken: () => "bad" });
  await assert.rejects(api.status("x", NEVER), { code: "unauthenticated", status: 401, retryable: true });
});

test("getToken is called again after it has failed, or has returned no token", async (context) => {
  fakeFetch(context, () => json({}));
  const results = [() => { throw new Error("offline"); }, () => "", () => undefined, () => "good"];
  const api = new BrokerApi({ broker, getToken: () => results.shift()() });
  for (const message of [/offline/, /no token/, /no token/]) {
    await assert.rejects(api.status("x", NEVER), { code: "unauthenticated", retryable: true, message });
  }
  await api.status("x", NEVER);
});

test("a cancellation ends the wait for a token, and keeps the token for others", async (context) => {
  fakeFetch(context, () => json({}));
  let give;
  let calls = 0;
  const api = new BrokerApi({ broker, getToken: () => (calls++, new Promise((resolve) => (give = resolve))) });
  const controller = new AbortController();
  const cancelled = api.status("x", controller.signal);
  const other = api.status("y", NEVER);
  controller.abort();
  await assert.rejects(cancelled);
  give("good");
  await other;
  assert.equal(calls, 1);
});

test("a page of a captive portal is not the broker's response", async (context) => {
  fakeFetch(context, () => new Response("<html>sign in</html>"));
  const api = new BrokerApi({ broker, getToken: () => "good" });
  await assert.rejects(api.status("x", NEVER), { code: "unexpected_response", retryable: true });
});

test("errors have the fields of the problem, and Retry-After", async (context) => {
  const problem = { code: "rate_limited", detail: "slow", requestId: "r", errors: [] };
  fakeFetch(context, () => json(problem, 429, { "Retry-After": "7" }));
  const api = new BrokerApi({ broker, getToken: () => "good" });
  await assert.rejects(api.confirm("x", NEVER), {
    code: "rate_limited", message: "slow", requestId: "r", errors: [], status: 429, retryAfterMs: 7000, retryable: true,
  });
});

test("limits are requested once, without a token; unknown ones are null; failures are not kept", async (context) => {
  let isUp = false;
  const requests = fakeFetch(context, () => {
    if (!isUp) throw new TypeError("down");
    return json({ r2Configured: true, maxBytes: 5 });
  });
  const api = new BrokerApi({ broker: "https://limits.example" });
  await assert.rejects(api.limits(), { code: "network" });
  isUp = true;
  const expected = { maxBytes: 5, multipartThresholdBytes: null, types: null };
  assert.deepEqual(await api.limits(), expected);
  assert.deepEqual(await new BrokerApi({ broker: "https://limits.example/" }).limits(), expected);
  assert.equal(requests.length, 2);
  assert.equal(requests[1].headers, undefined);
});

test("the removal of an upload is repeated, and one that is unknown or confirmed is left", async (context) => {
  const responses = [json({}, 503), new Response(null, { status: 204 }), json({}, 404), json({ code: "upload_confirmed" }, 409), json({}, 403)];
  fakeFetch(context, () => responses.shift());
  const api = new BrokerApi({ broker, getToken: () => "good" });
  await api.abort("a");
  await api.abort("b");
  await api.abort("c");
  await assert.rejects(api.abort("d"), { status: 403 });
});
