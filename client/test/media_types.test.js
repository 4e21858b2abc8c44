import assert from "node:assert/strict";
import { test } from "node:test";

import { mayBeTaken, typeOf } from "../src/media_types.js";

test("names the type of an extension, in upper case too", () => {
  assert.deepEqual(["a.MP3", "a.b.ogg", "mp3", "a.xyz", "a", ""].map(typeOf), [
    "audio/mpeg", "audio/ogg", "audio/mpeg", "", "", "",
  ]);
});

const AUDIO = ["audio/mpeg", "audio/wav", "audio/ogg"];
const cases = [
  ["audio/mpeg", "a.mp3", true],
  ["Audio/MPEG; codecs=x", "a", true],
  ["audio/x-wav", "a.wav", true], // an alias
  ["audio/vnd.new", "a.new", true], // unknown here, perhaps not to the broker
  ["application/ogg", "a", true],
  ["", "a.mp3", true],
  ["", "a.unknown", true],
  ["application/octet-stream", "a", true],
  ["text/plain", "a.mp3", true], // resolved by the extension
  ["text/html", "a.html", false],
  ["application/pdf", "a.pdf", false],
  ["video/mp4", "a.mp4", false],
  ["image/png", "a.png", false],
  ["image/x-new", "a", false],
  ["application/x-new", "a.new", true],
  ["video/ogg", "a", true], // an alias of audio/ogg
  ["application/vnd.openxmlformats-officedocument.wordprocessingml.document", "a.docx", false],
  ["constructor", "a.__proto__", false],
];
for (const [type, filename, expected] of cases) {
  test(`${expected ? "leaves" : "refuses"} ${type || "no type"} of ${filename} ${expected ? "to the broker" : ""}`, () => {
    assert.equal(mayBeTaken(type, filename, AUDIO), expected);
  });
}

test("understands types with a wildcard", () => {
  assert.equal(mayBeTaken("image/png", "a.png", ["image/*"]), true);
  assert.equal(mayBeTaken("video/mp4", "a.mp4", ["image/*"]), false);
});
