/** Lets a few at a time go; the rest wait in the order in which they came. */
export class Lane {
  #width;
  #going = new Set();
  #waiting = [];

  constructor(width) {
    this.#width = width;
  }

  /** Whether anything is under way. */
  get busy() {
    return this.#going.size > 0;
  }

  /** Have `one.go()` called when there is room; whether that was at once. */
  join(one) {
    this.#waiting.push(one);
    this.#admit();
    return this.#going.has(one);
  }

  /** Make room, or stop waiting. */
  leave(one) {
    this.#going.delete(one);
    this.#waiting = this.#waiting.filter((other) => other !== one);
    this.#admit();
  }

  #admit() {
    while (this.#going.size < this.#width && this.#waiting.length) {
      const next = this.#waiting.shift();
      this.#going.add(next);
      next.go();
    }
  }
}
