// One file on its way: a row of the upper list, from "queued" to the track-ready answer or to the reason why not.

import { discard, unfinished, upload } from "./broker-upload.js";
import { lookAtUpload, token } from "./demo-broker.js";
import { announce, dismiss, keepFocus, made, slot } from "./demo-dom.js";
import { bytes, duration, explained } from "./demo-words.js";

/** What a row says in each state, and which buttons it has. */
const STATES = {
  queued: { words: "Queued", end: "Cancel" },
  hashing: { words: "Computing the checksum", main: "Pause", end: "Cancel" },
  starting: { words: "The broker signs", main: "Pause", end: "Cancel" },
  sending: { words: "Sending", main: "Pause", end: "Cancel" },
  waiting: { words: "No answer, trying again", main: "Pause", end: "Cancel" },
  paused: { words: "Paused", main: "Resume", end: "Cancel" },
  confirming: { words: "The broker confirms", end: "Cancel" },
  ending: { words: "Being removed" },
  failed: { words: "Failed", main: "Retry", end: "Remove" },
  interrupted: { words: "Interrupted at a reload: choose the same file again to go on", end: "Discard" },
};

const IDLE = ["paused", "failed", "interrupted"];

export class Transfer {
  #known; // name, size and lastModified: what makes it the same file
  #file; // an interrupted upload has none yet
  #upload; // while one is running
  #state;
  #lane;
  #ready;

  /** `known` is a File, or what the browser remembers of one; `ready` shows the track-ready answer. */
  constructor(known, { lane, ready }) {
    this.#known = { name: known.name ?? known.filename, size: known.size, lastModified: known.lastModified };
    this.#lane = lane;
    this.#ready = ready;
    this.row = made("transfer", this.#known.name);
    this.#slot("name").textContent = this.#known.name;
    this.#slot("sent").textContent = bytes(this.#known.size);
    this.#slot("progress").ariaLabel = `Sent of ${this.#known.name}`;
    this.#slot("main").onclick = () => (IDLE.includes(this.#state) ? this.#wait() : this.#pause());
    this.#slot("end").onclick = () => this.#end();
    this.#slot("file").ariaLabel = `Choose file ${this.#known.name}`;
    this.#slot("file").onchange = ({ target }) => target.files[0] && this.#choose(target.files[0]);
  }

  /** Whether this is that file's row. */
  isOf({ name, filename = name, size, lastModified }) {
    return this.#known.name === filename && this.#known.size === size && this.#known.lastModified === lastModified;
  }

  /** Whether the file itself is what it needs to go on. */
  get wantsFile() {
    return [undefined, "failed", "interrupted"].includes(this.#state);
  }

  /** Send this file as soon as the lane lets it. */
  take(file) {
    this.#file = file;
    this.#wait();
  }

  /** Show what a reload has left of an upload. */
  async interrupted(uploadId) {
    this.#enter("interrupted");
    const status = uploadId && (await lookAtUpload(uploadId).catch(() => null));
    if (status && this.#state === "interrupted") this.#showSent(status.uploadedBytes, status.size);
  }

  /** The lane has room. */
  go() {
    this.#enter("starting");
    if (this.#upload) this.#upload.resume();
    else this.#run();
  }

  async #run() {
    announce(`Uploading ${this.#known.name}.`);
    try {
      const onProgress = (progress) => this.#show(progress);
      this.#upload = upload(this.#file, { getToken: token, checksum: true, onProgress });
      const heading = this.#ready(await this.#upload);
      keepFocus(this.row, () => this.row.remove(), heading);
    } catch (error) {
      if (error.code === "cancelled") this.#dismiss("Cancelled");
      else this.#fail(error);
    } finally {
      this.#upload = undefined;
      this.#lane.leave(this);
    }
  }

  #wait() {
    this.#slot("trouble").hidden = true;
    if (!this.#lane.join(this)) this.#enter("queued");
  }

  #pause() {
    this.#upload.pause();
    this.#lane.leave(this);
  }

  /** Give it up, with all that the store has of it. */
  async #end() {
    const word = this.#state === "queued" ? "Cancelled" : "Removed";
    if (this.#upload) {
      this.#enter("ending");
      return this.#upload.cancel();
    }
    this.#lane.leave(this);
    try {
      for (const left of unfinished().filter((one) => this.isOf(one))) await discard(left, { getToken: token });
      this.#dismiss(word);
    } catch (error) {
      this.#explain({ ...error, message: error.message, code: "not_removed" });
    }
  }

  #choose(file) {
    if (this.isOf(file)) this.take(file);
    else this.#explain({ code: "another_file", message: `${file.name} is not the file that was interrupted.` });
  }

  #dismiss(word) {
    dismiss(this.row);
    announce(`${word}: ${this.#known.name}.`);
  }

  #fail(error) {
    this.#enter("failed");
    if (!error.retryable) this.#toggle("main");
    this.#explain(error);
  }

  #explain(error) {
    const parts = explained(error);
    for (const [name, words] of Object.entries(parts)) this.#slot(name).textContent = words;
    this.#slot("trouble").hidden = false;
    announce(`${this.#known.name}: ${parts.title}. ${parts.detail}`);
  }

  #show({ phase, loaded, total, rate, secondsLeft }) {
    if (this.#state === "ending" || phase === "ready") return;
    if (this.#state !== phase) this.#enter(phase);
    this.#showSent(loaded, total);
    const left = secondsLeft === null ? "" : ` · ${duration(secondsLeft)} left`;
    this.#slot("pace").textContent = rate ? `${bytes(rate)}/s${left}` : "";
  }

  #showSent(loaded, total) {
    const share = total ? loaded / total : 0;
    this.#slot("progress").value = share;
    this.#slot("sent").textContent = loaded ? `${bytes(loaded)} of ${bytes(total)}` : bytes(total);
    this.#slot("share").textContent = loaded ? `· ${Math.floor(share * 100)} %` : "";
  }

  #enter(state) {
    const { words, main, end } = STATES[state];
    this.#state = this.row.dataset.state = state;
    this.#slot("state").textContent = words;
    this.#slot("pace").textContent = "";
    this.#toggle("main", main);
    this.#toggle("end", end);
    this.#slot("choose").hidden = state !== "interrupted";
  }

  /** Give a button its word, or hide it; then its focus goes to where no second press can do harm. */
  #toggle(name, word) {
    const button = this.#slot(name);
    keepFocus(button, () => (button.hidden = !word), this.#slot("name"));
    if (word) Object.assign(button, { textContent: word, ariaLabel: `${word} ${this.#known.name}` });
  }

  #slot(name) {
    return slot(this.row, name);
  }
}
