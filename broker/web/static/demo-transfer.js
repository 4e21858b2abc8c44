// One upload: a row of the upper list, until the file is confirmed, or the upload is cancelled or removed.

import { discard, unfinished, upload } from "./broker-upload.js";
import { getUpload, token } from "./demo-broker.js";
import { announce, dismiss, fromTemplate, keepFocus, slot } from "./demo-dom.js";
import { describe } from "./demo-errors.js";
import { formatBytes, formatDuration } from "./demo-format.js";

/** For each state its text, and the labels of its buttons. */
const STATES = {
  queued: { text: "Queued", end: "Cancel" },
  hashing: { text: "Computing the checksum", main: "Pause", end: "Cancel" },
  starting: { text: "Starting", main: "Pause", end: "Cancel" },
  sending: { text: "Sending", main: "Pause", end: "Cancel" },
  waiting: { text: "No response, retrying", main: "Pause", end: "Cancel" },
  paused: { text: "Paused", main: "Resume", end: "Cancel" },
  confirming: { text: "Confirming", end: "Cancel" },
  ending: { text: "Removing" },
  failed: { text: "Failed", main: "Retry", end: "Remove" },
  interrupted: { text: "Interrupted by a reload. Choose the same file to continue.", end: "Discard" },
};

const IDLE = ["paused", "failed", "interrupted"];

export class Transfer {
  #known; // name, size and lastModified, which identify the file
  #file; // undefined for an interrupted upload
  #upload; // undefined while none is running
  #state;
  #queue;
  #ready;

  /** `known` is a File or a remembered upload. `ready` shows the track-ready response and returns its heading. */
  constructor(known, { queue, ready }) {
    this.#known = { name: known.name ?? known.filename, size: known.size, lastModified: known.lastModified };
    this.#queue = queue;
    this.#ready = ready;
    this.row = fromTemplate("transfer", this.#known.name);
    this.#slot("name").textContent = this.#known.name;
    this.#slot("sent").textContent = formatBytes(this.#known.size);
    this.#slot("progress").ariaLabel = `Progress of ${this.#known.name}`;
    this.#slot("main").onclick = () => (IDLE.includes(this.#state) ? this.#join() : this.#pause());
    this.#slot("end").onclick = () => this.#end();
    this.#slot("file").ariaLabel = `Choose file ${this.#known.name}`;
    this.#slot("file").onchange = ({ target }) => target.files[0] && this.#choose(target.files[0]);
  }

  /** Whether this row is the one of a file. */
  isOf({ name, filename = name, size, lastModified }) {
    return this.#known.name === filename && this.#known.size === size && this.#known.lastModified === lastModified;
  }

  /** Whether the upload cannot continue without a file. */
  get needsFile() {
    return [undefined, "failed", "interrupted"].includes(this.#state);
  }

  /** Upload this file as soon as the queue has room. */
  start(file) {
    this.#file = file;
    this.#join();
  }

  /** Show an upload that a reload has interrupted. */
  async interrupted(uploadId) {
    this.#enter("interrupted");
    const status = uploadId && (await getUpload(uploadId).catch(() => null));
    if (status && this.#state === "interrupted") this.#showSent(status.uploadedBytes, status.size);
  }

  /** Start or resume the upload; the queue calls this when it has room. */
  run() {
    this.#enter("starting");
    if (this.#upload) this.#upload.resume();
    else this.#send();
  }

  async #send() {
    announce(`Uploading ${this.#known.name}.`);
    try {
      const onProgress = (progress) => this.#show(progress);
      this.#upload = upload(this.#file, { getToken: token, checksum: true });
      this.#upload.on("progress", onProgress);
      const heading = this.#ready(await this.#upload.done);
      keepFocus(this.row, () => this.row.remove(), heading);
    } catch (error) {
      if (error.code === "cancelled") this.#dismiss("Cancelled");
      else this.#fail(error);
    } finally {
      this.#upload = undefined;
      this.#queue.leave(this);
    }
  }

  #join() {
    this.#slot("trouble").hidden = true;
    if (!this.#queue.join(this)) this.#enter("queued");
  }

  #pause() {
    this.#upload.pause();
    this.#queue.leave(this);
  }

  /** End the upload, and remove from the store what was sent. */
  async #end() {
    const result = this.#state === "queued" ? "Cancelled" : "Removed";
    if (this.#upload) {
      this.#enter("ending");
      return this.#upload.cancel();
    }
    this.#queue.leave(this);
    try {
      for (const known of unfinished().filter((one) => this.isOf(one))) await discard(known, { getToken: token });
      this.#dismiss(result);
    } catch (error) {
      this.#explain({ ...error, message: error.message, code: "not_removed" });
    }
  }

  #choose(file) {
    if (this.isOf(file)) this.start(file);
    else this.#explain({ code: "different_file", message: `${file.name} is not the interrupted file.` });
  }

  #dismiss(result) {
    dismiss(this.row);
    announce(`${result}: ${this.#known.name}.`);
  }

  #fail(error) {
    this.#enter("failed");
    if (!error.retryable) this.#toggle("main");
    this.#explain(error);
  }

  #explain(error) {
    const texts = describe(error, "The upload failed");
    for (const [name, text] of Object.entries(texts)) this.#slot(name).textContent = text;
    this.#slot("trouble").hidden = false;
    announce(`${this.#known.name}: ${texts.title}. ${texts.detail}`);
  }

  #show({ phase, loadedBytes: loaded, totalBytes: total, bytesPerSecond, secondsLeft }) {
    if (this.#state === "ending" || !STATES[phase] || phase === "failed") return;
    if (this.#state !== phase) this.#enter(phase);
    this.#showSent(loaded, total);
    const left = secondsLeft === null ? "" : ` · ${formatDuration(secondsLeft)} left`;
    this.#slot("pace").textContent = bytesPerSecond ? `${formatBytes(bytesPerSecond)}/s${left}` : "";
  }

  #showSent(loaded, total) {
    const share = total ? loaded / total : 0;
    this.#slot("progress").value = share;
    this.#slot("sent").textContent = loaded ? `${formatBytes(loaded)} of ${formatBytes(total)}` : formatBytes(total);
    this.#slot("share").textContent = loaded ? `· ${Math.floor(share * 100)} %` : "";
  }

  #enter(state) {
    const { text, main, end } = STATES[state];
    this.#state = this.row.dataset.state = state;
    this.#slot("state").textContent = text;
    this.#slot("pace").textContent = "";
    this.#toggle("main", main);
    this.#toggle("end", end);
    this.#slot("choose").hidden = state !== "interrupted";
  }

  /** Give a button its label, or hide it. The focus then moves to the heading, where a second press does nothing. */
  #toggle(name, label) {
    const button = this.#slot(name);
    keepFocus(button, () => (button.hidden = !label), this.#slot("name"));
    if (label) Object.assign(button, { textContent: label, ariaLabel: `${label} ${this.#known.name}` });
  }

  #slot(name) {
    return slot(this.row, name);
  }
}
