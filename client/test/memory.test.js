import assert from "node:assert/strict";
import { test } from "node:test";

import { Memory } from "../src/memory.js";

const identity = { filename: "a.mp3", size: 1, lastModified: 2, contentType: "audio/mpeg" };

/** A storage like the page's. */
function storage() {
  const entries = new Map();
  return {
    get length() { return entries.size; },
    key: (index) => [...entries.keys()][index],
    getItem: (key) => entries.get(key) ?? null,
    setItem: (key, value) => void entries.set(key, value),
    removeItem: (key) => void entries.delete(key),
  };
}

test("keeps brokers and namespaces apart, whatever their names contain", () => {
  const shared = storage();
  const names = ["", "a", "a|b", "a|", "[", "[\"x\"]", "%7C", "auth0|12", "auth0|1", "auth0"];
  const all = names.flatMap((namespace) => ["", "https://b", "https://b/a"].map((broker) =>
    new Memory({ broker, namespace, storage: shared })));
  all.forEach((memory, index) => memory.keep({ ...identity, filename: `${index}.mp3` }, { startedAtMs: 1 }));
  assert.deepEqual(all.map((memory) => memory.all().map(({ filename }) => filename)), all.map((_, index) => [`${index}.mp3`]));
});

test("finds the entries of version 0.1", () => {
  const shared = storage();
  shared.setItem('broker-upload:https://b|["a.mp3",1,2,"audio/mpeg"]', JSON.stringify({ ...identity, uploadId: "x" }));
  assert.equal(new Memory({ broker: "https://b", storage: shared }).recall(identity).uploadId, "x");
});

test("lists the content type, and forgets", () => {
  const memory = new Memory({ storage: storage() });
  memory.keep(identity, { startedAtMs: 3, uploadId: "x", attempt: "secret" });
  assert.deepEqual(memory.all(), [{ ...identity, startedAtMs: 3, uploadId: "x" }]);
  memory.forget(identity);
  assert.deepEqual([memory.all(), memory.recall(identity)], [[], null]);
});

test("remembers within a run where the storage is full, foreign or missing", () => {
  const refuse = () => { throw new Error("full"); };
  for (const broken of [null, { getItem: refuse, setItem: refuse, removeItem: refuse, key: refuse, length: 1 }]) {
    const memory = new Memory({ storage: broken });
    memory.keep(identity, { uploadId: "x" });
    assert.equal(memory.recall(identity).uploadId, "x");
    assert.deepEqual(memory.all(), []);
    memory.forget(identity);
    assert.equal(memory.recall(identity), null);
  }
});
