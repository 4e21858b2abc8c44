// The media types of file name extensions, and whether the broker takes a type.

const EXTENSIONS = {
  "audio/aac": "aac",
  "audio/aiff": "aiff aif",
  "audio/flac": "flac",
  "audio/mp4": "m4a",
  "audio/mpeg": "mp3",
  "audio/ogg": "ogg oga opus",
  "audio/wav": "wav",
  "audio/webm": "weba",
  "image/gif": "gif",
  "image/jpeg": "jpg jpeg",
  "image/png": "png",
  "image/webp": "webp",
  "video/mp4": "mp4",
  "video/webm": "webm",
};

/** Return the type of a file name's extension; an empty string if it is unknown. */
export function typeOf(filename) {
  const extension = filename.split(".").pop().toLowerCase();
  return Object.keys(EXTENSIONS).find((type) => EXTENSIONS[type].split(" ").includes(extension)) ?? "";
}

// Types that no format of audio, video or pictures has under another name.
const DOCUMENTS = /^(text|font|model)\/|^application\/(pdf|json|xml|zip|gzip|msword|vnd\.(ms|o)|x-(zip|rar|7z|ms))/;

/**
 * Return false if the broker certainly refuses a file. It resolves aliases (`audio/x-wav`) and uses the extension for
 * unknown types: what this module does not know is left to the broker.
 */
export function mayBeTaken(contentType, filename, types) {
  const declared = contentType.split(";")[0].trim().toLowerCase();
  const isTaken = (type) => types.includes(type) || types.includes(`${type.split("/")[0]}/*`);
  if (isTaken(declared) || isTaken(typeOf(filename))) return true;
  if (declared in EXTENSIONS || DOCUMENTS.test(declared)) return false;
  return !/^image/.test(declared) || types.some((type) => /^image/.test(type)); // some formats are audio and video
}
