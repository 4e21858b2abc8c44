// Error codes as texts for a person.

const OTHER_BYTES = ["The store received other bytes", "The file may have changed during the upload. Choose it again."];
const UNEXPECTED = ["Something went wrong", "If it happens again, search the broker's log for the request id."];

/** For each error code the title, and what a person can do. */
const TEXTS = {
  checksum_mismatch: OTHER_BYTES,
  content_mismatch: ["The content does not match the file type", "The file may have a wrong extension. Export it again."],
  different_file: ["This is a different file", "Choose the file with the same name, size and date."],
  encoding_mismatch: OTHER_BYTES,
  internal: UNEXPECTED,
  invalid_request: ["This file cannot be uploaded"],
  network: ["The connection failed", "Retry continues the upload. Parts that the store has are not sent again."],
  not_removed: ["The upload could not be removed", "Try again later. The store deletes unconfirmed uploads after a few days."],
  size_mismatch: OTHER_BYTES,
  storage_unavailable: ["The store does not respond", "Retry in a moment. Parts that the store has are not sent again."],
  store_refused: ["The store refused the file", "Retry requests a new upload URL."],
  too_large: ["The file is too large"],
  type_mismatch: OTHER_BYTES,
  unauthenticated: ["The token is not valid", "Open the link that “broker demo” printed."],
  unexpected_response: UNEXPECTED,
  unreadable: ["The file cannot be read", "Choose it again."],
  unsupported_type: ["This file type is not accepted", "Choose a file of a type listed above."],
  upload_deleted: ["The upload does not exist any more", "Choose the file again to upload it."],
  upload_expired: ["The upload took too long", "Choose the file again to upload it."],
};

/** Return the texts of an error: `title`, `detail`, `hint` and `request`. Other codes have the title `otherwise`. */
export function describe({ code, message, errors = [], requestId }, otherwise) {
  const [title, hint = ""] = TEXTS[code] ?? [otherwise];
  const fields = errors.map(({ detail }) => detail).filter((detail) => !message.includes(detail));
  return { title, detail: [message, ...fields].join(" "), hint, request: requestId ? `Request id: ${requestId}` : "" };
}
