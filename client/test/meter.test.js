import assert from "node:assert/strict";
import { test } from "node:test";

import { Meter } from "../src/meter.js";

test("counts stored bytes and bytes in flight, and loses only those of a failed request", () => {
  const reports = [];
  const meter = new Meter(100, 0, (progress) => reports.push(progress));
  meter.enter("sending", 20);
  meter.sending(1, 10);
  meter.sending(2, 5);
  meter.stored(1, 30);
  assert.deepEqual([meter.progress.loadedBytes, meter.progress.storedBytes], [55, 50]);
  meter.failed(2);
  meter.enter("waiting");
  assert.deepEqual([meter.progress.loadedBytes, meter.progress.storedBytes], [50, 50]);
  meter.end("ready");
  assert.deepEqual([meter.progress.loadedBytes, meter.progress.totalBytes], [100, 100]);
  assert.equal(new Set(reports).size, reports.length);
});

test("reports at once that the last byte is sent", () => {
  const meter = new Meter(100, 0, () => {});
  meter.enter("sending", 20);
  meter.sending(1, 79);
  assert.equal(meter.progress.loadedBytes, 20); // the last report was a moment ago
  meter.sending(1, 80);
  assert.equal(meter.progress.loadedBytes, 100);
});

test("shows the pause instead of the step, and the step after it", () => {
  const phases = [];
  const meter = new Meter(100, 0, ({ phase }, isNew) => isNew && phases.push(phase));
  meter.enter("hashing");
  meter.pause(true);
  meter.enter("starting");
  meter.pause(false);
  meter.pause(true);
  meter.end("cancelled");
  assert.deepEqual(phases, ["hashing", "paused", "starting", "paused", "cancelled"]);
});

test("never shows more than the file has", () => {
  const meter = new Meter(10, 0, () => {});
  meter.enter("sending", 8);
  meter.sending(1, 5);
  meter.stored(1, 5);
  assert.deepEqual([meter.progress.loadedBytes, meter.progress.storedBytes], [10, 10]);
});

test("begins with what an earlier attempt has stored", () => {
  assert.equal(new Meter(10, 4, () => {}).progress.loadedBytes, 4);
});
