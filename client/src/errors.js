// Why an upload ended.

export class UploadError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {Record<string, any>} [facts] the fields of broker-upload.d.ts, and `retryAfterMs`
   */
  constructor(code, message, facts = {}) {
    super(message);
    this.name = "UploadError";
    this.code = code;
    this.retryable = false;
    Object.assign(this, facts);
  }
}

export const cancelled = () => new UploadError("cancelled", "The upload was cancelled.");
export const invalidOptions = (message) => new UploadError("invalid_options", message);
export const network = (message) => new UploadError("network", message, { retryable: true });

/** Return `error` if it is an UploadError, and otherwise an UploadError with its text. */
export function asUploadError(error) {
  return error instanceof UploadError ? error : new UploadError("unexpected_response", String(error));
}
