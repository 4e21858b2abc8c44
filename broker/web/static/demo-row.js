// A row of the list: one file, from its choice to its deletion. The row stays where it is, and keeps its height.

import { fromTemplate, keepFocus, kindOf, label, setText, slot } from "./demo-dom.js";

export class Row {
  #cleanups = [];

  constructor(filename) {
    this.filename = filename;
    this.element = fromTemplate("row");
    this.setKind(kindOf(filename));
    this.slot("name").textContent = this.slot("name").title = filename;
    this.slot("progress").ariaLabel = `Progress of ${filename}`;
    this.slot("file").ariaLabel = `Choose file ${filename}`;
  }

  slot(name) {
    return slot(this.element, name);
  }

  /** Show the icon of a kind of files. */
  setKind(kind) {
    this.element.querySelector(".thumb use").setAttribute("href", `#icon-${kind}`);
  }

  /**
   * Show a state. `side`, `main` and `end` are the buttons from left to right, each a label and an action; buttons that
   * end something and buttons that remove something never have the same place. `share` is that of the sent bytes.
   */
  show({ state, text, numbers = "", share = null, side, main, end, choose = false }) {
    const isNew = this.element.dataset.state !== state;
    this.element.dataset.state = state;
    setText(this.slot("state"), text);
    setText(this.slot("numbers"), numbers);
    this.slot("progress").value = share ?? 0;
    this.slot("progress").classList.toggle("unused", share === null);
    keepFocus(this.element, () => {
      for (const [name, button] of Object.entries({ side, main, end })) this.#setButton(name, button);
      this.slot("choose").hidden = !choose;
      this.slot("download").hidden = state !== "ready";
    }, this.slot("name"));
    if (isNew) this.element.dispatchEvent(new Event("row", { bubbles: true })); // the total counts states
  }

  /** Show what a button of the row opens: a label and an element; without them, nothing. */
  setDetails(words, content) {
    const more = this.slot("more");
    if (!words && more.hidden) return;
    keepFocus(more, () => (more.hidden = !words), this.slot("name"));
    if (!words) more.open = false;
    else label(this.slot("summary"), words, this.filename);
    this.slot("panel").replaceChildren(...(content ? [content] : []));
  }

  /** Show what a button opens about an error: the texts of `describe`. `null`: nothing. */
  explain(texts) {
    if (!texts) return this.setDetails();
    const element = fromTemplate("failure");
    for (const name of ["hint", "detail", "request"]) slot(element, name).textContent = texts[name];
    slot(element, "heading").hidden = !texts.detail;
    this.setDetails("Why?", element);
  }

  /** Call `cleanup` when the row is removed. */
  onRemove(cleanup) {
    this.#cleanups.push(cleanup);
  }

  /** Remove the row. Its focus moves to a neighbour, or to the button that chooses files. */
  remove() {
    const neighbour = this.element.nextElementSibling ?? this.element.previousElementSibling;
    for (const cleanup of this.#cleanups) cleanup();
    const next = neighbour ? slot(neighbour, "name") : document.getElementById("files");
    keepFocus(this.element, () => this.element.remove(), next);
  }

  #setButton(name, button) {
    const [words, act] = button ?? [];
    const element = this.slot(name);
    element.hidden = !words;
    element.onclick = act ?? null;
    if (words) label(element, words, this.filename);
  }
}
