import assert from "node:assert/strict";
import { test } from "node:test";

import { Pace } from "../src/pace.js";

const MIB = 2 ** 20;
const PART = 8 * MIB;

/** Send parts at the speed that `bytesPerMs` gives for a number in flight; return the limit after each part. */
function simulate(pace, bytesPerMs, parts) {
  let nowMs = 0;
  return Array.from({ length: parts }, () => {
    nowMs += PART / bytesPerMs(pace.limit);
    pace.stored(PART, nowMs);
    return pace.limit;
  });
}

test("begins with one part, and goes up to the maximum while that is faster", () => {
  const pace = new Pace(4, PART, 0);
  assert.equal(pace.limit, 1);
  assert.equal(simulate(pace, (limit) => limit * 50_000, 40).at(-1), 4);
});

test("returns to one part where more are not faster", () => {
  const limits = simulate(new Pace(4, PART, 0), () => 50_000, 200);
  assert.equal(Math.max(...limits), 2);
  assert.ok(limits.filter((limit) => limit === 1).length > limits.length / 2);
});

test("has at most 16 MiB in flight at 3 MB/s, even if more were faster", () => {
  const limits = simulate(new Pace(4, PART, 0), (limit) => 1_000 * limit, 50);
  assert.equal(Math.max(...limits), 2);
});

test("has one part in flight where a part is larger than what may be lost", () => {
  const pace = new Pace(4, 64 * MIB, 0);
  pace.stored(64 * MIB, 60_000);
  pace.stored(64 * MIB, 120_000);
  assert.equal(pace.limit, 1);
});

test("goes down when the connection becomes slow", () => {
  const pace = new Pace(4, PART, 0);
  simulate(pace, (limit) => limit * 50_000, 40);
  pace.stored(PART, 1e6);
  for (let nowMs = 1e6; nowMs < 1e6 + 60_000; nowMs += 8_000) pace.stored(PART, nowMs);
  assert.ok(pace.limit <= 2);
});
