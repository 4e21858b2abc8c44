/** The version of this module, such as `1.0.0`. `/static/broker-upload-<version>.js` never changes. */
export const version: string;

/** The broker's response to a confirmed upload. Sizes are in bytes, times in RFC 3339 and UTC. */
export interface TrackReady {
  key: string;
  status: "ready";
  filename: string;
  /** Bytes. */
  size: number;
  contentType: string;
  etag: string;
  /** Base64; `null` unless a checksum was declared and there is evidence for it. */
  sha256: string | null;
  /** `store`: the store returned this checksum. `upload`: the store refuses to store bytes with another checksum. */
  sha256Evidence: "store" | "upload" | null;
  owner: string;
  /** The public URL; `null` if the bucket is private. */
  url: string | null;
  confirmedAt: string;
  /** A JWS, which can be verified offline with the broker's `/.well-known/jwks.json`. */
  receipt: string;
}

/**
 * The current step of an upload.
 *
 * `queued`: waits for its turn, in a queue, or while another tab sends the same file. `waiting`: for the next attempt
 * after a failed one. `paused`: what is in flight is completed, and nothing new is started. `ready`, `failed` and
 * `cancelled` are final; a queue's item leaves the last two by `retry()`.
 */
export type Phase =
  | "queued" | "hashing" | "starting" | "sending" | "waiting" | "paused" | "confirming"
  | "ready" | "failed" | "cancelled";

/** A new object for every report; it never changes. */
export interface Progress {
  readonly phase: Phase;
  /** Bytes that are stored or in flight. It falls only by bytes that are lost, which must be sent again. */
  readonly loadedBytes: number;
  /** Bytes that the store has: a reload of the page does not lose them. */
  readonly storedBytes: number;
  /** Bytes of the file. */
  readonly totalBytes: number;
  /** The speed over the last 5 seconds; 0 while nothing is sent. */
  readonly bytesPerSecond: number;
  /** The time left at this speed; `null` if it is not known. */
  readonly secondsLeft: number | null;
}

/** A part that the store has. */
export interface StoredPart {
  /** From 1 to `partCount`. */
  readonly partNumber: number;
  readonly partCount: number;
  readonly sizeBytes: number;
}

/** A failed attempt, after which another one follows. */
export interface Retry {
  /** The number of failed attempts in a row, from 1; a stored part begins a new row. */
  readonly attempt: number;
  /** The upload fails at this number. */
  readonly maxAttempts: number;
  readonly reason: UploadError;
  /** When the next attempt starts: milliseconds since the epoch. */
  readonly nextAttemptAtMs: number;
}

/** What the listeners of an upload receive. */
export interface UploadEvents {
  /** At every change of the phase, and about ten times a second while bytes are sent. */
  progress: Progress;
  /** A new phase. */
  phase: Phase;
  /** A part was stored by this run. A file that is sent as a whole has none. */
  part: StoredPart;
  retry: Retry;
  /** The upload was confirmed. */
  done: TrackReady;
  /** The upload has failed or was cancelled (code `cancelled`). */
  error: UploadError;
}

/** The place where the unfinished uploads of one user are remembered. */
export interface MemoryOptions {
  /** The broker's origin, with its path if it is mounted under one. Default: the page's own origin. */
  broker?: string;
  /** Names the user, such as the user's id: the next user of this browser then sees no file name of this one. */
  namespace?: string;
  /** The storage of unfinished uploads. Default: `localStorage`. `null`: they are forgotten when the page is left. */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length"> | null;
}

export interface TokenOptions {
  /**
   * Return the bearer token. Called before the first request, and with `refresh: true` after a 401. If it throws or
   * rejects, it is called again later like every failed request, unless the error has `retryable: false`.
   */
  getToken: (why: { refresh: boolean }) => string | Promise<string>;
}

/** Options of every file. */
export interface TransferOptions extends MemoryOptions, TokenOptions {
  /** Whether to upload in parts. Default: the broker decides by the size. */
  multipart?: boolean;
  /**
   * Whether to declare the file's SHA-256. Only a file that is sent as a whole can have one: files that the broker takes
   * in parts, and files above 64 MiB with `multipart: false`, are not hashed.
   */
  checksum?: boolean;
  /**
   * The greatest number of parts in flight at a time. Default and upper bound: the broker's `maxConcurrency`. The client
   * begins with one, and sends more at a time while that is faster.
   */
  maxConcurrency?: number;
  /** The upload fails after so many failed attempts without a stored byte between them. Default: 12, about two minutes. */
  maxAttempts?: number;
}

/** Options of one file. */
export interface FileOptions {
  /** Default: the file's own name. A Blob that is not a File needs it. */
  filename?: string;
  /** Default: the file's own type, or the type of its extension. */
  contentType?: string;
}

export interface UploadOptions extends TransferOptions, FileOptions {
  /** Aborting it cancels the upload, as `cancel()` does. */
  signal?: AbortSignal;
}

/** A running upload. It is not a promise: an `async` function can return it. */
export interface Upload {
  /**
   * Resolves to the track-ready response, or rejects with an `UploadError`. Handle the rejection, or listen to `error`:
   * otherwise it is an unhandled rejection.
   */
  readonly done: Promise<TrackReady>;
  /** The last report. */
  readonly progress: Progress;
  /** Start nothing new, in whatever phase. What is in flight is completed, so that no byte is sent twice. */
  pause(): void;
  /** Continue after `pause()`, or at once with the next attempt while the upload waits for it. */
  resume(): void;
  /** End the upload, remove what was sent, and forget it. `done` rejects with the code `cancelled`. */
  cancel(): void;
  /** Call `listener` at every event of this name; return a function that ends this. The first event comes in a later task. */
  on<Name extends keyof UploadEvents>(event: Name, listener: (value: UploadEvents[Name]) => void): () => void;
}

/**
 * Upload a file straight to the store, and confirm it. Nothing is thrown: every error rejects `done`.
 *
 * An earlier upload of the same file (name, size, time of the last change, type) to the same broker and namespace is
 * resumed, whether a reload, a crash or an error ended it.
 */
export function upload(file: Blob, options: UploadOptions): Upload;

export interface QueueOptions extends TransferOptions {
  /** The number of files that are sent at the same time. Default: 2. */
  concurrency?: number;
}

/** A file in a queue. */
export interface Item extends Upload {
  /** Unique within the page, as a key of list rows. */
  readonly id: string;
  readonly file: Blob;
  readonly filename: string;
  /** The result; `null` until the phase is `ready`. */
  readonly track: TrackReady | null;
  /** Why it ended; `null` unless the phase is `failed` or `cancelled`. */
  readonly error: UploadError | null;
  /** The promise of the current attempt: `retry()` begins a new one. A rejection need not be handled. */
  readonly done: Promise<TrackReady>;
  /** Put a failed or cancelled file into the queue again. Parts that the store has are not sent again. */
  retry(): void;
  /** Take the file out of the queue; cancel it first if it has not ended. */
  remove(): void;
}

/** One total over the files of a queue. Cancelled files do not count; the stored bytes of failed ones do. */
export interface Total extends Omit<Progress, "phase"> {
  readonly queuedCount: number;
  /** Files that are hashing, starting, sending, waiting or confirming. */
  readonly activeCount: number;
  readonly pausedCount: number;
  readonly readyCount: number;
  readonly failedCount: number;
}

/** What the listeners of a queue receive, with the item as a second argument. */
export interface QueueEvents extends Omit<UploadEvents, "progress"> {
  /** The total, whenever an item reports progress, is added or removed. */
  progress: Total;
}

export interface Queue {
  /** The files, in the order in which they were added. A new array whenever a file is added or removed. */
  readonly items: readonly Item[];
  /** A new object for every report. */
  readonly total: Total;
  /** Resolves when no item is queued, paused or active any more. It never rejects. Later `add` and `retry` begin a new one. */
  readonly done: Promise<readonly Item[]>;
  /** Add files at the end; they are uploaded as soon as the queue has room. */
  add(files: Iterable<Blob> | ArrayLike<Blob>, options?: FileOptions): Item[];
  /** Pause every item, and start none until `resume()`. */
  pause(): void;
  /** Whether `pause()` holds the queue. */
  readonly isPaused: boolean;
  /** Resume every paused item. */
  resume(): void;
  /** Put every failed item into the queue again. */
  retry(): void;
  /** Cancel every item that has not ended. */
  cancel(): void;
  /** Call `listener` at every event of this name; return a function that ends this. `item` is `null` where several changed. */
  on<Name extends keyof QueueEvents>(
    event: Name, listener: (value: QueueEvents[Name], item: Item | null) => void,
  ): () => void;
}

/** Return a queue for several files. */
export function createQueue(options: QueueOptions): Queue;

/** What the broker takes. `null`: this broker does not publish the limit. */
export interface Limits {
  /** The greatest size of a file. */
  readonly maxBytes: number | null;
  /** Larger files are sent in parts. */
  readonly multipartThresholdBytes: number | null;
  /** The media types. */
  readonly types: readonly string[] | null;
}

/**
 * Return the limits of the broker, which are requested once in five minutes. Every upload reads them first: a file above
 * `maxBytes`, or of a type that is not taken, fails with the broker's code (`too_large`, `unsupported_type`).
 */
export function getLimits(options?: Pick<MemoryOptions, "broker">): Promise<Limits>;

/** Why an upload ended. */
export class UploadError extends Error {
  /**
   * The broker's code (`unsupported_type`, `too_large`, `content_mismatch`, `unauthenticated` …), or one of the client:
   *
   * `cancelled`; `network` (the broker or the store did not respond, or CORS forbids this page to read the response);
   * `store_refused` (the store refused the bytes); `unreadable` (the file was changed, moved or deleted);
   * `invalid_options` (an option is missing or wrong); `unexpected_response` (not the broker's response).
   */
  readonly code: string;
  /** Whether another attempt with the same file may succeed. */
  readonly retryable: boolean;
  /** The HTTP status, if there was a response. */
  readonly status?: number;
  /** The id of the request in the broker's log. */
  readonly requestId?: string;
  /** The invalid fields of the request, as JSON pointers. */
  readonly errors?: ReadonlyArray<{ readonly pointer: string; readonly detail: string }>;
}

/** An unfinished upload of this browser. */
export interface Unfinished {
  /** `null`: it was not created yet. */
  readonly uploadId: string | null;
  readonly filename: string;
  readonly contentType: string;
  /** Bytes. */
  readonly size: number;
  /** The file's `lastModified`: milliseconds since the epoch. */
  readonly lastModified: number;
  /** When the upload was started: milliseconds since the epoch. */
  readonly startedAtMs: number;
}

/** Return the unfinished uploads to this broker, of this namespace, that the storage remembers, oldest first. */
export function unfinished(options?: MemoryOptions): Unfinished[];

/** End an unfinished upload, remove what was sent, and forget it. It rejects with an `UploadError`. */
export function discard(upload: Unfinished, options: MemoryOptions & TokenOptions): Promise<void>;
