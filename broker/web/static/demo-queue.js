/** A queue that runs a few items at a time, in the order in which they joined. */
export class Queue {
  #limit;
  #running = new Set();
  #waiting = [];

  /** `limit` is the number of items that may run at a time. */
  constructor(limit) {
    this.#limit = limit;
  }

  /** Whether any item is running. */
  get busy() {
    return this.#running.size > 0;
  }

  /** Call `item.run()` as soon as there is room; return whether that was at once. */
  join(item) {
    this.#waiting.push(item);
    this.#next();
    return this.#running.has(item);
  }

  /** Remove an item, whether it is running or waiting. */
  leave(item) {
    this.#running.delete(item);
    this.#waiting = this.#waiting.filter((other) => other !== item);
    this.#next();
  }

  #next() {
    while (this.#running.size < this.#limit && this.#waiting.length) {
      const item = this.#waiting.shift();
      this.#running.add(item);
      item.run();
    }
  }
}
