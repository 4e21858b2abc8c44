// Sizes, times and refusals, in words for a person.

const three = new Intl.NumberFormat("en", { minimumSignificantDigits: 3, maximumSignificantDigits: 3 });

export function bytes(count) {
  if (count < 1e3) return count === 1 ? "1 byte" : `${Math.round(count)} bytes`;
  const [unit, name] = count < 1e6 ? [1e3, "kB"] : count < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${three.format(count / unit)} ${name}`;
}

export function duration(seconds) {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.ceil(whole / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const CHANGED = ["The store received something else", "The file may have changed while it was sent: choose it again."];
const OURS = ["Something went wrong at our end", "If it stays so, tell us the request id."];

/** By an error's code: what happened, and what a person can do about it. */
const TROUBLES = {
  another_file: ["That is another file", "Choose the one with the same name, size and date."],
  checksum_mismatch: CHANGED,
  content_mismatch: ["The file is not what its name says", "Perhaps it was renamed: export it again."],
  encoding_mismatch: CHANGED,
  internal: OURS,
  invalid_request: ["This file cannot be uploaded"],
  network: ["The connection failed", "What was sent is kept, and Retry goes on from there."],
  not_removed: ["It could not be removed", "Try again, or leave it: the store removes in time what is never confirmed."],
  size_mismatch: CHANGED,
  storage_unavailable: ["The store does not answer", "What was sent is kept. Retry in a moment."],
  store_refused: ["The store refused the file", "Retry asks for a fresh link."],
  too_large: ["The file is too large"],
  type_mismatch: CHANGED,
  unauthenticated: ["The token is no longer good", "Open the page by the link that “broker demo” printed."],
  unexpected_answer: OURS,
  unreadable: ["The file cannot be read", "It was changed, moved or deleted: choose it again."],
  unsupported_type: ["This kind of file is not taken", "Choose one of the kinds listed above."],
  upload_deleted: ["The upload was deleted", "Choose the file again to upload it anew."],
  upload_expired: ["The upload took too long", "Choose the file again."],
};

/** An error in parts: `title`, `detail`, `hint` and `request`. */
export function explained({ code, message, errors = [], requestId }) {
  const [title, hint = ""] = TROUBLES[code] ?? ["The upload failed"];
  const fields = errors.map(({ detail }) => detail).filter((detail) => !message.includes(detail));
  return { title, detail: [message, ...fields].join(" "), hint, request: requestId ? `Request id: ${requestId}` : "" };
}
