/** The version of this module, such as `0.1.0`. `/static/broker-upload-<version>.js` never changes. */
export const version: string;

/** What a confirmed upload is: the broker's track-ready answer. Sizes are bytes, instants RFC 3339 in UTC. */
export interface TrackReady {
  key: string;
  status: "ready";
  filename: string;
  size: number;
  contentType: string;
  etag: string;
  /** Base64, `null` unless a checksum was declared and there is evidence for it. */
  sha256: string | null;
  /** `store`: the store returned this checksum. `upload`: the store refuses other bytes at the upload. */
  sha256Evidence: "store" | "upload" | null;
  owner: string;
  /** The public URL, `null` when the bucket is private. */
  url: string | null;
  confirmedAt: string;
  /** A JWS, verifiable offline by the broker's `/.well-known/jwks.json`. */
  receipt: string;
}

/** What an upload is doing. `waiting`: for the network, or for the pause after a failed attempt. */
export type Phase = "hashing" | "starting" | "sending" | "waiting" | "paused" | "confirming" | "ready";

export interface Progress {
  phase: Phase;
  /** Bytes the store has or is getting now. */
  loaded: number;
  /** Bytes of the file. */
  total: number;
  /** Bytes a second over the last seconds, 0 when nothing is being sent. */
  rate: number;
  /** Seconds to go at that rate, `null` when that cannot be said. */
  secondsLeft: number | null;
}

export interface Options {
  /** The broker's origin (and path, if it is mounted under one). Default: the page's own origin. */
  broker?: string;
  /** The bearer token. Asked before a request that has none yet, and with `refresh: true` after a 401. */
  getToken: (why: { refresh: boolean }) => string | Promise<string>;
  onProgress?: (progress: Progress) => void;
  /** Aborting it cancels the upload, as `cancel()` does. */
  signal?: AbortSignal;
  /** Default: the file's own name. */
  filename?: string;
  /** Default: the file's own type, or what its extension says. */
  contentType?: string;
  /** Whether to upload in parts. Default: as the broker decides by size. */
  multipart?: boolean;
  /** Declare the file's SHA-256, so that the store refuses other bytes. Only files up to 64 MiB are hashed. */
  checksum?: boolean;
  /** Parts in flight at once. Default, and at most: what the broker says. */
  maxConcurrency?: number;
  /** Failed attempts in a row, without any progress between them, after which the upload fails. Default: 12, some two minutes. */
  maxAttempts?: number;
  /** Where to remember unfinished uploads. Default: `localStorage`; `null` remembers nothing. */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length"> | null;
}

/** A running upload. It settles once: with the track-ready answer, or with an `UploadError`. */
export interface Upload extends Promise<TrackReady> {
  /** Stop sending; what the store already has stays there. */
  pause(): void;
  /** Go on where `pause()` stopped. */
  resume(): void;
  /** End it, remove what was sent, forget it. The promise rejects with the code `cancelled`. */
  cancel(): void;
}

/** Why an upload ended. */
export class UploadError extends Error {
  /**
   * The broker's own code (`unsupported_type`, `too_large`, `content_mismatch`, `unauthenticated` …), or one of
   * `cancelled`, `network` (no answer from the broker or the store), `store_refused`, `unreadable` (the file
   * changed or is gone), `unexpected_answer`.
   */
  readonly code: string;
  /** Whether trying the same file again may help. */
  readonly retryable: boolean;
  /** The HTTP status, when there was one. */
  readonly status?: number;
  /** The broker's request id, to be found in its log. */
  readonly requestId?: string;
  /** The fields that broke a rule. */
  readonly errors?: ReadonlyArray<{ pointer: string; detail: string }>;
}

/**
 * Upload a file straight to the store, and confirm it.
 *
 * The same file (name, size, time of last change) to the same broker goes on where an earlier upload of it stopped,
 * be that by a reload, a crash or an error.
 */
export function upload(file: File, options: Options): Upload;

/** An upload of this browser that is not finished. */
export interface Unfinished {
  uploadId: string | null;
  filename: string;
  size: number;
  lastModified: number;
  /** When it was started, in milliseconds since the epoch. */
  startedAt: number;
}

/** The unfinished uploads to `broker` that this browser remembers, oldest first. */
export function unfinished(options?: Pick<Options, "broker" | "storage">): Unfinished[];

/** Give one of them up: remove what was sent, forget it. */
export function discard(upload: Unfinished, options: Pick<Options, "broker" | "storage" | "getToken">): Promise<void>;
