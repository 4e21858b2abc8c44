// The listeners of an upload and of a queue.

export class Listeners {
  #byEvent = {};

  /** Call `listener` at every event of this name; return a function that ends this. */
  on(event, listener) {
    const all = (this.#byEvent[event] ??= new Set());
    all.add(listener);
    return () => void all.delete(listener);
  }

  /** Call the listeners. An error of a listener does not end the upload: it is reported like an unhandled one. */
  emit(event, ...values) {
    for (const listener of [...(this.#byEvent[event] ?? [])]) {
      try {
        listener(...values);
      } catch (error) {
        report(error);
      }
    }
  }
}

function report(error) {
  if (globalThis.reportError) reportError(error);
  else Promise.reject(error); // before Safari 15.4, and in Node.js
}
