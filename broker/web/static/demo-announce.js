// Sentences for screen readers. Results of many files are counted, and announced together.

import { $ } from "./demo-dom.js";

const KEPT_MAX = 8; // sentences in the live region
const FIRST_MS = 600; // from the first result to its sentence
const GAP_MS = 10_000; // between two sentences about results

const SENTENCES = {
  started: ["Uploading $.", "Uploading # files."],
  ready: ["$ is ready.", "# files are ready."],
  failed: ["$ failed.", "# files failed."],
  cancelled: ["Cancelled: $.", "# files were cancelled."],
};

const counted = new Map(); // names by the kind of result
let timer = null;
let announcedAtMs = -Infinity;

/** Announce a sentence at once. A new element for each: replaced text may not be read. */
export function announce(text) {
  $("announcements").append(Object.assign(document.createElement("p"), { textContent: text }));
  if ($("announcements").childElementCount > KEPT_MAX) $("announcements").firstElementChild.remove();
}

/** Announce soon what happened to a file, together with other files. `words` replace the sentence about one file. */
export function announceResult(kind, filename, words) {
  const sentences = counted.get(kind) ?? [];
  counted.set(kind, [...sentences, words ?? SENTENCES[kind][0].replace("$", () => filename)]);
  timer ??= setTimeout(announceResults, Math.max(FIRST_MS, announcedAtMs + GAP_MS - performance.now()));
}

/** Announce the results so far. */
export function announceResults() {
  clearTimeout(timer);
  timer = null;
  if (counted.size) announcedAtMs = performance.now();
  for (const [kind, sentences] of counted) {
    announce(sentences.length === 1 ? sentences[0] : SENTENCES[kind][1].replace("#", sentences.length));
  }
  counted.clear();
}
