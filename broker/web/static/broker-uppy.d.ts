/** The version of this module, such as `1.0.0`. `/static/broker-uppy-<version>.js` never changes. */
export const version: string;

export interface BrokerUppyOptions {
  /** The URL of the broker; by default the origin of the page. */
  broker?: string;
  /** Returns a bearer token. With `refresh` the broker has refused the last one. */
  getToken: (why: { refresh: boolean }) => string | Promise<string>;
  /**
   * Send files of at most 64 MiB in one PUT with their SHA-256, which the store checks. They cannot be resumed. By
   * default every file is sent in parts, which have no checksum.
   */
  checksum?: boolean;
}

/** What `response.body` of a file has after its upload, beside the members of Uppy. */
export interface ConfirmedBody {
  /** The track-ready key. */
  key: string;
  location?: string;
  uploadId: string;
  status: "ready";
  /** A JWS, which can be verified offline with the broker's `/.well-known/jwks.json`. */
  receipt: string;
  /** The public URL; `null` if the bucket is private. */
  url: string | null;
  /** Bytes. */
  size: number;
  contentType: string;
}

/** The methods of Uppy that the module calls. */
export interface UppyLike {
  getFile(id: string): any;
  setFileState(id: string, state: object): void;
  on(event: any, callback: any): unknown;
  iteratePlugins?(callback: (plugin: any) => void): void;
  emit(event: any, ...values: any[]): unknown;
  addPostProcessor(processor: (ids: string[]) => Promise<unknown>): void;
  /** Called by Golden Retriever. Before 5.0.2 Uppy emits no `complete` for it: the module adds that. */
  restore?(uploadID: string): Promise<any>;
}

interface UploadName {
  uploadId: string;
  key: string;
}

/** The options of `@uppy/aws-s3`: of version 6, and of 4 and 5. Do not add `endpoint` or `companionEndpoint`. */
export interface BrokerAwsS3Options {
  shouldUseMultipart: (file: any) => boolean;
  getChunkSize: (file: { size: number }) => number;
  generateObjectKey: (file: any) => string;
  signRequest: (request: any) => Promise<{ url: string; key: string; headers: Record<string, string> }>;
  getUploadParameters: (
    file: any,
    options: { signal?: AbortSignal },
  ) => Promise<{ method: "PUT"; url: string; headers: Record<string, string>; fields: any }>;
  createMultipartUpload: (file: any, signal?: AbortSignal) => Promise<UploadName>;
  signPart: (file: any, options: any) => Promise<{ url: string; headers: Record<string, string> }>;
  listParts: (file: any, options: any) => Promise<any[]>;
  completeMultipartUpload: (file: any, options: any) => Promise<any>;
  abortMultipartUpload: (file: any, options: any) => Promise<void>;
}

/**
 * Return the options with which `@uppy/aws-s3` uploads by the broker, and confirm every upload before Uppy's
 * `complete` event: `uppy.use(AwsS3, brokerUppy(uppy, { broker, getToken }))`.
 *
 * Size and type are signed, parts have 8 MiB, failures that may pass are retried, and errors have the broker's text.
 */
export function brokerUppy(uppy: UppyLike, options: BrokerUppyOptions): BrokerAwsS3Options;
