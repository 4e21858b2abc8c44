import assert from "node:assert/strict";
import { test } from "node:test";

import { Gate, millisecondsOf, NEVER, within } from "../src/waiting.js";
import { sleep } from "./support.js";

test("a closed gate holds until it is opened, and a cancelled one throws", async () => {
  const gate = new Gate();
  await gate.untilOpen();
  gate.close();
  let hasPassed = false;
  const passing = gate.untilOpen().then(() => (hasPassed = true));
  await sleep(20);
  assert.equal(hasPassed, false);
  gate.open();
  await passing;
  gate.close();
  const held = gate.untilOpen();
  gate.cancel();
  await assert.rejects(held, { code: "cancelled" });
  await assert.rejects(gate.untilOpen(), { code: "cancelled" });
});

test("opening the gate ends a sleep, and a cancellation ends it with an error", async () => {
  const gate = new Gate();
  const slept = gate.sleep(600_000);
  gate.open();
  await slept;
  const cancelled = gate.sleep(600_000);
  gate.cancel();
  await assert.rejects(cancelled, { code: "cancelled" });
  await assert.rejects(gate.sleep(600_000), { code: "cancelled" });
});

test("within() ends the work after its time, and at an abort", async () => {
  assert.equal(await within(60_000, NEVER, async () => 7), 7);
  let given;
  await assert.rejects(within(1, NEVER, (signal) => new Promise(() => (given = signal))));
  assert.equal(given.aborted, true);
  const controller = new AbortController();
  const work = within(60_000, controller.signal, () => new Promise(() => {}));
  controller.abort();
  await assert.rejects(work);
  await assert.rejects(within(60_000, controller.signal, () => new Promise(() => {})));
});

test("reads both forms of Retry-After", () => {
  assert.equal(millisecondsOf("5"), 5000);
  const date = new Date(Date.now() + 60_000).toUTCString();
  assert.ok(Math.abs(millisecondsOf(date) - 60_000) < 5_000);
  for (const value of [null, "", "0", "-1", "soon", "1.5", new Date(0).toUTCString()]) {
    assert.equal(millisecondsOf(value), undefined, String(value));
  }
});
