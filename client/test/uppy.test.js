// Run by `node --test`. The options for Uppy's plugin, with a fake Uppy and a fake broker.

import assert from "node:assert/strict";
import test from "node:test";

import { brokerUppy } from "../src/uppy/index.js";

const MIB = 2 ** 20;
const KEY = "media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3";

/** A fake Uppy with one file, and a fake broker that answers by path. */
function set(t, answers, options = {}, more = {}) {
  const file = { id: "a", name: "a.mp3", type: "audio/mpeg", size: 11 * MIB, data: new Blob(["song"]), ...more };
  const state = { file, requests: [], events: [], tokens: [], finish: null };
  const uppy = {
    getFile: (id) => (id === "a" ? state.file : undefined),
    setFileState: (_id, change) => (state.file = { ...state.file, ...change }),
    emit: (...event) => state.events.push(event),
    on: (name, callback) => (state[name] = callback),
    iteratePlugins: (callback) => [{}, { opts: { ...state.plugin, ...state.replaced } }].forEach(callback),
    addPostProcessor: (processor) => (state.finish = processor),
  };
  state.fetch = async (url, { method, headers, body }) => {
    const path = url.replace("https://broker.example", "");
    state.requests.push([method, path, body && JSON.parse(body), headers.Authorization]);
    const answer = answers[path.split("?")[0]].shift();
    if (answer instanceof Error) throw answer;
    const [status, document, fields] = answer;
    return new Response(status === 204 ? null : JSON.stringify(document), { status, headers: fields });
  };
  t.mock.method(globalThis, "fetch", state.fetch);
  const getToken = ({ refresh }) => (state.tokens.push(refresh), `token-${state.tokens.length}`);
  state.plugin = brokerUppy(uppy, { broker: "https://broker.example/", getToken, ...options });
  return state;
}

const SIGNED = { url: "https://store.example/x", key: KEY, uploadId: "id", headers: {} };

test("a file in parts declares its facts and ends confirmed", async (t) => {
  const track = { key: KEY, uploadId: "id", status: "ready", receipt: "a.b.c" };
  const state = set(t, {
    "/s3/presign": [[200, SIGNED], [200, SIGNED]],
    "/s3/multipart/id": [[200, [{ PartNumber: 1 }]], [200, {}]],
    "/s3/multipart/id/complete": [[200, track]],
  });
  const { plugin, file } = state;
  assert.deepEqual(await plugin.createMultipartUpload(file), { uploadId: "id", key: KEY });
  const facts = { key: "a.mp3", contentType: "audio/mpeg", size: 11 * MIB, partSize: 8 * MIB };
  assert.deepEqual(state.requests[0], ["POST", "/s3/presign", { method: "POST", ...facts }, "Bearer token-1"]);
  await plugin.signPart(file, { uploadId: "id", key: KEY, partNumber: 2, body: file.data });
  assert.deepEqual(state.requests[1][2], { method: "PUT", uploadId: "id", partNumber: 2, key: KEY });
  assert.equal((await plugin.listParts(file, { uploadId: "id", key: KEY })).length, 1);
  await plugin.completeMultipartUpload(file, { uploadId: "id", key: KEY, parts: [] });
  state.file = { ...file, response: { status: 200, body: { key: KEY, location: "x" } } };
  await state.finish(["a", "unknown"]);
  assert.deepEqual(state.file.response.body, { ...track, location: "x" });
  assert.deepEqual(state.events.map(([name]) => name), ["postprocess-progress", "postprocess-complete"]);
  assert.deepEqual(await plugin.abortMultipartUpload(file, { uploadId: "id", key: KEY }), {});
});

test("Uppy 6 gets its requests signed, and errors with their text", async (t) => {
  const state = set(t, {
    "/s3/presign": [[200, SIGNED], [200, SIGNED]],
    "/s3/multipart/id/complete": [[422, { message: "The object must be audio/mpeg.", code: "content_mismatch" }]],
  });
  assert.equal(state.plugin.generateObjectKey(state.file), "a");
  await state.plugin.signRequest({ method: "POST", key: "a" });
  assert.equal(state.requests[0][2].size, 11 * MIB);
  await state.plugin.signRequest({ method: "GET", key: KEY, uploadId: "id" });
  const failed = state.plugin.signRequest({ method: "POST", key: KEY, uploadId: "id" });
  await assert.rejects(failed, { message: "The object must be audio/mpeg.", code: "content_mismatch", status: 422 });
});

test("a file with a checksum is confirmed after its PUT", async (t) => {
  const state = set(t, {
    "/s3/presign": [[200, SIGNED]],
    "/api/v1/uploads/id/confirm": [[202, { status: "promoting" }], [200, { key: KEY, status: "ready", receipt: "r" }]],
  }, { checksum: true });
  state.file.size = 4;
  assert.equal(state.plugin.shouldUseMultipart(state.file), false);
  assert.equal(state.plugin.shouldUseMultipart({ size: 65 * MIB }), true);
  const put = await state.plugin.getUploadParameters(state.file, {});
  assert.deepEqual(put, { method: "PUT", url: SIGNED.url, headers: {}, fields: { key: KEY } });
  assert.equal(state.requests[0][2].sha256.length, 44);
  state.file.response = { status: 200, body: { key: KEY } };
  await state.finish(["a"]);
  assert.equal(state.file.response.body.receipt, "r");
});

test("a file that was sent before a reload is confirmed after it", async (t) => {
  const state = set(t, {
    "/s3/presign": [[200, SIGNED]],
    "/api/v1/uploads/id/confirm": [[200, { key: KEY, status: "ready", receipt: "r" }]],
  });
  await state.plugin.getUploadParameters(state.file, {});
  const reloaded = set(t, {}, {}, { ...state.file, response: { body: { key: KEY } } });
  t.mock.method(globalThis, "fetch", state.fetch); // the same broker
  await reloaded.finish(["a"]);
  assert.deepEqual(reloaded.file.response.body, { key: KEY, status: "ready", receipt: "r", uploadId: "id" });
  await reloaded.finish(["a"]);
  assert.equal(state.requests.length, 2);
});

test("an upload that Golden Retriever continues is complete in every version", async (t) => {
  for (const [version, added] of [["4.5.3", 1], ["5.0.1", 1], ["5.0.2", 0], ["5.0.10", 0], ["6.3.1", 0]]) {
    const events = [];
    class Uppy {
      static VERSION = version;
      addPostProcessor() {}
      on() {}
      async restore(uploadID) {
        return { uploadID };
      }
      emit(...event) {
        events.push(event);
      }
    }
    const uppy = new Uppy();
    brokerUppy(uppy, { getToken: () => "t" });
    brokerUppy(uppy, { getToken: () => "t" });
    assert.deepEqual(await uppy.restore("u"), { uploadID: "u" });
    assert.deepEqual(events, Array(added).fill(["complete", { uploadID: "u" }]));
  }
});

test("an upload whose creation was interrupted is used again, or aborted with its file", async (t) => {
  const other = { ...SIGNED, uploadId: "other" };
  const state = set(t, { "/s3/presign": [[200, SIGNED], [422, {}], [200, other], [200, other]], "/s3/multipart/id": [[200, {}]] });
  const { plugin, file } = state;
  assert.deepEqual(await Promise.all([1, 2].map(() => plugin.createMultipartUpload(file))), Array(2).fill({ uploadId: "id", key: KEY }));
  assert.equal((await plugin.signRequest({ method: "POST", key: "a" })).uploadId, "id");
  assert.equal(state.requests.length, 1);
  state["file-removed"]({ id: "a" });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(state.requests[1].slice(0, 2), ["DELETE", `/s3/multipart/id?key=${encodeURIComponent(KEY)}`]);

  await assert.rejects(plugin.createMultipartUpload(file));
  assert.equal((await plugin.createMultipartUpload(file)).uploadId, "other");
  await plugin.signPart(file, { uploadId: "other", key: KEY, partNumber: 1 });
  state["file-removed"]({ id: "a" }); // Uppy aborts what it knows
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(state.requests.length, 5);
});

test("the size of parts is that of a replaced function", async (t) => {
  const state = set(t, { "/s3/presign": [[200, SIGNED], [200, SIGNED]] });
  state.replaced = { getChunkSize: ({ size }) => size };
  await state.plugin.createMultipartUpload(state.file);
  state.replaced = { getChunkSize: () => 1 };
  await state.plugin.createMultipartUpload({ ...state.file, id: "b" });
  assert.deepEqual(state.requests.map(([, , { partSize }]) => partSize), [11 * MIB, 5 * MIB]);
});

test("a refused confirm is the error of its file", async (t) => {
  const state = set(t, { "/s3/presign": [[200, SIGNED]], "/api/v1/uploads/id/confirm": [[409, { message: "No." }]] });
  await state.plugin.getUploadParameters(state.file);
  state.file.response = { body: { key: KEY } };
  await state.finish(["a"]);
  assert.deepEqual([state.events[1][0], state.events[1][2].message], ["upload-error", "No."]);
});

test("failures that may pass are retried, and a refused token is renewed", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const state = set(t, {
    "/s3/presign": [[503, {}, { "Retry-After": "2" }], new TypeError("no network"), [401, {}], [200, SIGNED]],
  });
  const signed = state.plugin.signRequest({ method: "POST", key: "a" });
  for (let turn = 0; turn < 40; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    t.mock.timers.tick(1000);
  }
  assert.equal((await signed).uploadId, "id");
  assert.deepEqual(state.tokens, [false, true]);
});

test("a cancelled request is not repeated, and an option is required", async (t) => {
  const state = set(t, { "/s3/presign": [new TypeError("aborted")] });
  await assert.rejects(state.plugin.signPart(state.file, { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.throws(() => brokerUppy({}, {}), TypeError);
  assert.equal(state.plugin.getChunkSize({ size: 200_000 * MIB }), 20 * MIB);
});
