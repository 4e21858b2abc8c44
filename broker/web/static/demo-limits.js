// What the broker accepts, in words and in the file dialog.

import { getLimits } from "./broker-upload.js";
import { $ } from "./demo-dom.js";
import { formatBytes } from "./demo-format.js";

const NAMES = {
  "audio/mp4": "M4A", "audio/mpeg": "MP3", "audio/ogg": "Ogg", "audio/webm": "WebM",
  "image/webp": "WebP", "video/quicktime": "MOV", "video/webm": "WebM",
}; // where the name is not the subtype in upper case

const KINDS = [["audio", ""], ["video", " video"], ["image", ""]];

let limits = { maxBytes: null, types: null };

/** Return the limits that are known so far. */
export const knownLimits = () => limits;

/** Return the name of a media type for a person, such as "MP3". */
export const nameOf = (type) => NAMES[type] ?? type.split("/")[1].toUpperCase();

/** Show the limits of this broker. Without them the text and the file dialog stay as the page has them. */
export async function showLimits(options) {
  limits = await getLimits(options).catch(() => limits);
  const { maxBytes, types } = limits;
  if (types?.length) {
    const isAudio = types.some((type) => type.startsWith("audio/")); // audio formats have many names
    $("files").accept = [...(isAudio ? ["audio/*"] : []), ...types].join();
    $("accepted").textContent = listOf(types);
  }
  if (maxBytes) $("accepted").append(`. Up to ${formatBytes(maxBytes)} each.`);
}

/** Return a list such as "MP3 or WAV; MP4 video; JPEG or PNG". */
export function listOf(types) {
  const lists = KINDS.map(([kind, suffix]) => {
    const names = types.filter((type) => type.startsWith(`${kind}/`)).map(nameOf);
    return names.length ? `${[names.slice(0, -1).join(", "), names.at(-1)].filter(Boolean).join(" or ")}${suffix}` : "";
  });
  return lists.filter(Boolean).join("; ");
}
