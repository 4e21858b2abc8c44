/** The version of this module, such as `0.1.0`. `/static/broker-upload-<version>.js` never changes. */
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

/** The current step of an upload. `waiting`: offline, or in the pause after a failed attempt. */
export type Phase = "hashing" | "starting" | "sending" | "waiting" | "paused" | "confirming" | "ready";

export interface Progress {
  phase: Phase;
  /** Bytes that are stored or in flight, as in the DOM's `ProgressEvent`. */
  loaded: number;
  /** Bytes of the file, as in the DOM's `ProgressEvent`. */
  total: number;
  /** The speed over the last 5 seconds; 0 while nothing is sent. */
  bytesPerSecond: number;
  /** The time left at this speed; `null` if it is not known. */
  secondsLeft: number | null;
}

export interface Options {
  /** The broker's origin, with its path if it is mounted under one. Default: the page's own origin. */
  broker?: string;
  /** Return the bearer token. Called before the first request, and with `refresh: true` after a 401. */
  getToken: (why: { refresh: boolean }) => string | Promise<string>;
  /** Called at every change of the phase, and about ten times a second while bytes are sent. */
  onProgress?: (progress: Progress) => void;
  /** Aborting it cancels the upload, as `cancel()` does. */
  signal?: AbortSignal;
  /** Default: the file's own name. */
  filename?: string;
  /** Default: the file's own type, or the type of its extension. */
  contentType?: string;
  /** Whether to upload in parts. Default: the broker decides by the size. */
  multipart?: boolean;
  /** Whether to declare the file's SHA-256. Files above 64 MiB, and files sent with `multipart: true`, are not hashed. */
  checksum?: boolean;
  /** The number of parts in flight at a time. Default and upper bound: the broker's `maxConcurrency`. */
  maxConcurrency?: number;
  /** The upload fails after so many failed attempts without a stored byte between them. Default: 12, about two minutes. */
  maxAttempts?: number;
  /** The storage for unfinished uploads. Default: `localStorage`. `null`: they are forgotten when the page is left. */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length"> | null;
}

/** A running upload. The promise resolves to the track-ready response, or rejects with an `UploadError`. */
export interface Upload extends Promise<TrackReady> {
  /** Stop sending. The store keeps the parts that it has. */
  pause(): void;
  /** Continue after `pause()`. */
  resume(): void;
  /** End the upload, remove what was sent, and forget it. The promise rejects with the code `cancelled`. */
  cancel(): void;
}

/** Why an upload ended. */
export class UploadError extends Error {
  /**
   * The broker's code (`unsupported_type`, `too_large`, `content_mismatch`, `unauthenticated` …), or one of the
   * client: `cancelled`, `network` (the broker or the store did not respond), `store_refused`, `unreadable` (the file
   * was changed, moved or deleted), `unexpected_response`.
   */
  readonly code: string;
  /** Whether another attempt with the same file may succeed. */
  readonly retryable: boolean;
  /** The HTTP status, if there was a response. */
  readonly status?: number;
  /** The id of the request in the broker's log. */
  readonly requestId?: string;
  /** The invalid fields of the request, as JSON pointers. */
  readonly errors?: ReadonlyArray<{ pointer: string; detail: string }>;
}

/**
 * Upload a file straight to the store, and confirm it.
 *
 * An earlier upload of the same file (name, size, time of the last change, type) to the same broker is resumed, whether
 * a reload, a crash or an error ended it.
 */
export function upload(file: File, options: Options): Upload;

/** An unfinished upload of this browser. */
export interface Unfinished {
  uploadId: string | null;
  filename: string;
  /** Bytes. */
  size: number;
  /** The file's `lastModified`: milliseconds since the epoch. */
  lastModified: number;
  /** When the upload was started: milliseconds since the epoch. */
  startedAtMs: number;
}

/** Return the unfinished uploads to `broker` that this browser remembers, oldest first. */
export function unfinished(options?: Pick<Options, "broker" | "storage">): Unfinished[];

/** End an unfinished upload, remove what was sent, and forget it. */
export function discard(upload: Unfinished, options: Pick<Options, "broker" | "storage" | "getToken">): Promise<void>;
