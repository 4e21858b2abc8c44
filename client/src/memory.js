// The unfinished uploads that a browser remembers between page loads: only their identity. The broker knows the rest.

const STORAGE_PREFIX = "broker-upload:"; // of the keys in the page's storage

/** Return the storage of the page; `null` in a worker, in Node.js, and in a sandbox, where reading the property throws. */
export function pageStorage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

export class Memory {
  #storage;
  #prefix;
  #ofThisRun = new Map(); // the same entries, for uploads without a storage

  constructor({ broker = "", namespace = "", storage = pageStorage() } = {}) {
    this.#storage = storage;
    // Every key ends with "[…]", which an encoded namespace cannot contain: no prefix begins another one's keys.
    this.#prefix = `${STORAGE_PREFIX}${broker}|${namespace && `${encodeURIComponent(namespace)}|`}`;
  }

  /** Whether other pages of this origin see the entries. */
  get isShared() {
    return this.#storage !== null;
  }

  recall(identity) {
    const key = this.keyOf(identity);
    return this.#attempt((storage) => JSON.parse(storage.getItem(key))) ?? this.#ofThisRun.get(key) ?? null;
  }

  keep(identity, facts) {
    const key = this.keyOf(identity);
    this.#ofThisRun.set(key, facts);
    this.#attempt((storage) => storage.setItem(key, JSON.stringify({ ...identity, ...facts })));
  }

  forget(identity) {
    const key = this.keyOf(identity);
    this.#ofThisRun.delete(key);
    this.#attempt((storage) => storage.removeItem(key));
  }

  /** Return the remembered uploads, oldest first. */
  all() {
    const keys = this.#attempt((storage) => Array.from({ length: storage.length }, (_, index) => storage.key(index)));
    return (keys ?? [])
      .filter((key) => key.startsWith(`${this.#prefix}[`))
      .map((key) => this.#attempt((storage) => JSON.parse(storage.getItem(key))))
      .filter((facts) => facts?.size !== undefined)
      .map(({ uploadId = null, filename, contentType, size, lastModified, startedAtMs }) =>
        ({ uploadId, filename, contentType, size, lastModified, startedAtMs }))
      .sort((one, other) => one.startedAtMs - other.startedAtMs);
  }

  /** Return the storage key of a file, which names its lock too. */
  keyOf({ filename, size, lastModified, contentType }) {
    return this.#prefix + JSON.stringify([filename, size, lastModified, contentType]);
  }

  /** Return the result of `work`; `null` where the storage is full or forbidden: the upload then only forgets more. */
  #attempt(work) {
    try {
      return this.#storage ? work(this.#storage) : null;
    } catch {
      return null;
    }
  }
}
