import assert from "node:assert/strict";
import { test } from "node:test";

import { sendParts } from "../src/parts.js";
import { sleep } from "./support.js";

const numbers = Array.from({ length: 100 }, (_, index) => index + 1);
const sign = async (wanted) => wanted.map((partNumber) => ({ partNumber }));
const common = { numbers, partBytes: 1, maxConcurrency: 4, sign, isHeld: () => false };

test("sends every part once, in order, and never more at a time than the maximum", async () => {
  const sent = [];
  let inFlight = 0;
  const send = async ({ partNumber }) => {
    assert.ok(++inFlight <= 4);
    sent.push(partNumber);
    await sleep(1);
    inFlight--;
    return 1;
  };
  assert.equal(await sendParts({ ...common, send }), true);
  assert.deepEqual(sent, numbers);
});

test("starts nothing while it is held, completes what is in flight, and reports that parts are left", async () => {
  const sent = [];
  let isHeld = false;
  const send = async ({ partNumber }) => {
    if (partNumber === 3) isHeld = true;
    await sleep(5);
    sent.push(partNumber);
    return 1;
  };
  assert.equal(await sendParts({ ...common, send, isHeld: () => isHeld }), false);
  assert.ok(sent.includes(3) && sent.length < 10);
});

test("throws the first failure after what was in flight has ended", async () => {
  const ended = [];
  const send = async ({ partNumber }) => {
    await sleep(partNumber === 5 ? 1 : 20);
    ended.push(partNumber);
    if (partNumber === 5) throw new Error("refused");
    return 1;
  };
  await assert.rejects(sendParts({ ...common, send }), /refused/);
  const count = ended.length;
  await sleep(50);
  assert.equal(ended.length, count);
});

test("throws the failure of a signing request", async () => {
  const refused = () => Promise.reject(new Error("no URLs"));
  await assert.rejects(sendParts({ ...common, sign: refused, send: async () => 1 }), /no URLs/);
});

test("signs each part once, and at most 64 at a time", async () => {
  const signed = [];
  const counted = async (wanted) => {
    assert.ok(wanted.length >= 1 && wanted.length <= 64);
    signed.push(...wanted);
    return sign(wanted);
  };
  await sendParts({ ...common, sign: counted, send: async () => 1 });
  assert.deepEqual(signed, numbers);
});
