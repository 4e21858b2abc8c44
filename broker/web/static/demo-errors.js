// Error codes in words for a person. The broker's own text is shown in the details of a row.

import { formatBytes, formatDuration } from "./demo-format.js";
import { knownLimits, listOf } from "./demo-limits.js";

const OTHER_BYTES = ["The store received other bytes", "The file may have changed during the upload. Choose it again."];
const UNEXPECTED = ["Something went wrong", "If it happens again, search the broker's log for the request id."];
const STORED_PARTS = "Retry continues the upload. Parts that the store has are not sent again.";

/** For each error code the title, and what a person can do. */
const TEXTS = {
  checksum_mismatch: OTHER_BYTES,
  content_mismatch: ["The content does not match the file type", "The extension may be wrong. Export the file again."],
  different_file: ["This is a different file", "Choose the file with the same name, size and date."],
  encoding_mismatch: OTHER_BYTES,
  forbidden: ["This upload belongs to somebody else", "Open the link of its user."],
  identity_unavailable: ["The broker cannot check your link", STORED_PARTS],
  internal: UNEXPECTED,
  invalid_request: ["This file cannot be uploaded"],
  network: ["The connection failed", STORED_PARTS],
  not_removed: ["The upload could not be removed", "Try again later. The store deletes such uploads after a few days."],
  rate_limited: ["Too many requests at once", "Wait a minute, then retry."],
  size_mismatch: OTHER_BYTES,
  storage_not_configured: ["This broker has no store", "Ask its operator."],
  storage_unavailable: ["The store does not respond", STORED_PARTS],
  store_refused: ["The store refused the file", "Retry requests a new upload URL."],
  too_large: ["This file is too large", "Choose a smaller one, or compress it."],
  type_mismatch: OTHER_BYTES,
  unauthenticated: ["Your link is not valid", "Open a fresh link. The upload then continues."],
  unexpected_response: UNEXPECTED,
  unreadable: ["The file cannot be read", "It was changed, moved or deleted. Choose it again."],
  unsupported_type: ["This file type is not accepted", "Choose a file of a type listed above."],
  upload_deleted: ["The upload does not exist any more", "Choose the file again to upload it."],
  upload_expired: ["The upload took too long", "Choose the file again to upload it."],
};

/** Why an attempt failed, in front of the time of the next one. */
const RETRIED = { network: "No response", rate_limited: "Too many requests", storage_unavailable: "The store is busy" };

/** Return the texts of an error: `title`, `hint`, and what was reported as `detail` and `request`. */
export function describe({ code, message, errors = [], requestId }, { size, otherwise = "The upload failed" } = {}) {
  const [title, hint = ""] = TEXTS[code] ?? [otherwise];
  const fields = errors.map(({ detail }) => detail).filter((detail) => !message.includes(detail));
  const { maxBytes, types } = knownLimits();
  const isKnownSize = code === "too_large" && maxBytes && size > maxBytes;
  return {
    title: code === "invalid_request" && size === 0 ? "This file is empty" : title,
    hint: isKnownSize
      ? `It has ${formatBytes(size)}. At most ${formatBytes(maxBytes)} are accepted.`
      : code === "unsupported_type" && types?.length ? `Choose one of these: ${listOf(types)}.` : hint,
    detail: [message, ...fields].join(" "),
    request: requestId ? `Request id: ${requestId}` : "",
  };
}

/** Return why the last attempt failed and when the next one starts. */
export function retryWords(retry) {
  if (!retry) return "Waiting for another tab or the network";
  const { reason, nextAttemptAtMs } = retry;
  const seconds = (nextAttemptAtMs - Date.now()) / 1000;
  const next = seconds > 0 ? `next try in ${formatDuration(seconds)}` : "trying again";
  return `${RETRIED[reason.code] ?? "That did not work"}, ${next}`;
}
