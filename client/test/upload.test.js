// Whole uploads with a fake broker and store, whose times and failures a test can choose.

import assert from "node:assert/strict";
import { test } from "node:test";

import { createQueue, upload } from "../src/index.js";
import { fakeFetch, json, until } from "./support.js";

const file = () => new File(["a song"], "a.mp3", { type: "audio/mpeg", lastModified: 1 });
const track = { key: "media/a.mp3", status: "ready" };
let lastBroker = 0;
/** Return options with a broker of their own: limits are remembered by broker. */
const options = () => ({ broker: `https://broker${++lastBroker}.example`, getToken: () => "good" });

/** Answer like the broker and the store; `more` answers first, and returns undefined for the rest. */
function fakeBroker(context, more = () => undefined) {
  const counts = {};
  return fakeFetch(context, async (request) => {
    const { pathname, hostname } = new URL(request.url);
    const step = hostname === "store.example" ? "put" : pathname.split("/").at(-1);
    counts[step] = (counts[step] ?? 0) + 1;
    const answer = await more(step, counts[step], request);
    if (answer) return answer;
    if (step === "put") return new Response("", { status: 200 });
    if (step === "confirm") return json(track);
    if (step === "uploads") {
      return json({ uploadId: "u1", method: "PUT", url: "https://store.example/a", headers: { "Content-Type": "audio/mpeg" } }, 201);
    }
    if (step === "u1") return json({ status: "uploaded", uploadedBytes: 6 });
    return json({ r2Configured: true });
  });
}

test("uploads without XMLHttpRequest, storage and locks; events and results agree", async (context) => {
  const requests = fakeBroker(context);
  const run = upload(file(), options());
  const heard = [];
  for (const event of ["phase", "done", "error"]) run.on(event, (value) => heard.push([event, value]));
  assert.equal(typeof run.then, "undefined");
  assert.deepEqual(await run.done, track);
  assert.deepEqual(heard, [["phase", "starting"], ["phase", "sending"], ["phase", "confirming"], ["phase", "ready"], ["done", track]]);
  const put = requests.find(({ method }) => method === "PUT");
  assert.equal(put.headers.Authorization, undefined);
});

test("an async function can return the handle", async (context) => {
  fakeBroker(context);
  const begin = async () => upload(file(), options());
  const run = await begin();
  run.pause();
  assert.equal(run.progress.phase, "paused");
  run.resume();
  await run.done;
});

test("an error of a listener does not end the upload", async (context) => {
  fakeBroker(context);
  const errors = [];
  const onError = (error) => errors.push(error.message);
  context.mock.method(globalThis, "queueMicrotask");
  globalThis.reportError = onError;
  context.after(() => delete globalThis.reportError);
  const run = upload(file(), options());
  run.on("phase", () => { throw new Error("mine"); });
  await run.done;
  assert.ok(errors.length && errors.every((message) => message === "mine"));
});

test("412 of the store means that an earlier attempt was stored", async (context) => {
  fakeBroker(context, (step) => step === "put" && new Response("", { status: 412 }));
  assert.deepEqual(await upload(file(), options()).done, track);
});

test("202 of confirm means to confirm again", async (context) => {
  const requests = fakeBroker(context, (step, count) =>
    step === "confirm" && count < 3 && json({ status: "promoting" }, 202, { "Retry-After": "0" }));
  assert.deepEqual(await upload(file(), options()).done, track);
  assert.equal(requests.filter(({ url }) => url.endsWith("/confirm")).length, 3);
});

test("an upload that the broker calls not uploaded is sent again, a limited number of times", async (context) => {
  const requests = fakeBroker(context, (step) => {
    if (step === "confirm") return json({ code: "not_uploaded", detail: "no" }, 409);
    return step === "u1" && json({ status: "pending", uploadedBytes: 0 });
  });
  await assert.rejects(upload(file(), options()).done, { code: "not_uploaded", status: 409 });
  assert.equal(requests.filter(({ method }) => method === "PUT").length, 4);
});

test("an expired upload is created again once", async (context) => {
  const requests = fakeBroker(context, (step, count) => step === "confirm" && count === 1 && json({ code: "upload_expired" }, 410));
  assert.deepEqual(await upload(file(), options()).done, track);
  assert.equal(requests.filter(({ method, url }) => method === "POST" && url.endsWith("/uploads")).length, 2);
});

test("a retry is reported with its number, its reason and its time; resume() begins it at once", async (context) => {
  fakeBroker(context, (step, count) => step === "uploads" && count === 1 && json({ code: "storage_unavailable" }, 503, { "Retry-After": "300" }));
  const run = upload(file(), options());
  const retry = await new Promise((resolve) => run.on("retry", resolve));
  assert.deepEqual([retry.attempt, retry.maxAttempts, retry.reason.code], [1, 12, "storage_unavailable"]);
  assert.ok(retry.nextAttemptAtMs > Date.now() + 240_000);
  await until(() => run.progress.phase === "waiting");
  run.resume();
  await run.done;
});

test("a Retry-After of more than ten minutes ends the upload", async (context) => {
  fakeBroker(context, (step) => step === "uploads" && json({ code: "rate_limited" }, 429, { "Retry-After": "86400" }));
  await assert.rejects(upload(file(), options()).done, { code: "rate_limited", retryable: true });
});

test("a lost confirm is repeated without sending the file again", async (context) => {
  const requests = fakeBroker(context, (step, count) => {
    if (step === "confirm" && count === 1) throw new TypeError("fetch failed");
  });
  await upload(file(), options()).done;
  assert.equal(requests.filter(({ method }) => method === "PUT").length, 1);
});

test("cancel() before the start, and twice, rejects once and sends nothing", async (context) => {
  const requests = fakeBroker(context);
  const run = upload(file(), options());
  const errors = [];
  run.on("error", ({ code }) => errors.push(code));
  run.cancel();
  run.cancel();
  await assert.rejects(run.done, { code: "cancelled", retryable: false });
  run.pause();
  run.resume();
  assert.deepEqual([errors, run.progress.phase, requests.length], [["cancelled"], "cancelled", 0]);
});

test("cancel() removes what was created, also while the store does not respond", async (context) => {
  let isSending = false;
  const requests = fakeBroker(context, (step, _count, { signal, method }) => {
    if (method === "DELETE") return new Response(null, { status: 204 });
    if (step !== "put") return undefined;
    isSending = true;
    return new Promise((_, reject) => signal.addEventListener("abort", reject));
  });
  const run = upload(file(), options());
  await until(() => isSending);
  run.cancel();
  await assert.rejects(run.done, { code: "cancelled" });
  assert.ok(requests.at(-1).method === "DELETE" && requests.at(-1).url.endsWith("/u1"));
});

test("a queue runs a few files at a time, in order, and continues after failures", async (context) => {
  let inFlight = 0;
  let most = 0;
  fakeBroker(context, async (step, count) => {
    if (step !== "confirm") return undefined;
    most = Math.max(most, ++inFlight);
    await new Promise((resolve) => setTimeout(resolve, 5));
    inFlight--;
    return count % 3 === 0 ? json({ code: "content_mismatch", detail: "no" }, 422) : undefined;
  });
  const queue = createQueue({ ...options(), concurrency: 3 });
  const items = queue.add(Array.from({ length: 12 }, (_, index) => new File(["a song"], `${index}.mp3`, { lastModified: index })));
  assert.equal(queue.total.queuedCount + queue.total.activeCount, 12);
  assert.equal(await queue.done, queue.items);
  assert.equal(most, 3);
  const { readyCount, failedCount, loadedBytes, totalBytes } = queue.total;
  assert.deepEqual([readyCount, failedCount, loadedBytes, totalBytes], [8, 4, 72, 72]);
  assert.equal(items.filter(({ error }) => error?.code === "content_mismatch").length, 4);
  assert.equal(new Set(items.map(({ id }) => id)).size, 12);
});

test("a paused item gives its place to the next one, and waits for a place after it", async (context) => {
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  fakeBroker(context, async (step) => {
    if (step === "put") await gate;
  });
  const queue = createQueue({ ...options(), concurrency: 1 });
  const [first, second] = queue.add([file(), new File(["a song"], "b.mp3")]);
  await until(() => first.progress.phase === "sending");
  first.pause();
  assert.equal(first.progress.phase, "paused");
  await until(() => second.progress.phase === "sending");
  first.resume();
  assert.equal(first.progress.phase, "queued");
  release();
  await queue.done;
  assert.deepEqual([first.track, second.track, queue.total.readyCount], [track, track, 2]);
});

test("items can be cancelled, removed and retried in every state", async (context) => {
  let isUp = false;
  fakeBroker(context, (step, _count, { method }) => {
    if (method === "DELETE") return new Response(null, { status: 204 });
    return step === "confirm" && !isUp && json({ code: "content_mismatch" }, 422);
  });
  const queue = createQueue({ ...options(), concurrency: 1, maxAttempts: 1 });
  const [failed, cancelled, removed] = queue.add([file(), file(), file()]);
  removed.remove();
  cancelled.cancel();
  await queue.done;
  assert.deepEqual(queue.items.map(({ progress }) => progress.phase), ["failed", "cancelled"]);
  assert.equal(queue.total.totalBytes, 6);
  isUp = true;
  queue.retry();
  cancelled.retry();
  assert.deepEqual([failed.error, failed.progress.phase === "failed"], [null, false]);
  await queue.done;
  assert.deepEqual(queue.items.map(({ progress }) => progress.phase), ["ready", "ready"]);
  await assert.rejects(removed.done, { code: "cancelled" });
  failed.retry();
  failed.cancel();
  assert.equal(failed.progress.phase, "ready");
});
