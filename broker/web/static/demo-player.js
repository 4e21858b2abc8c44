// The player of one row. A page with many files has only the players that were opened.

import { inlineLink } from "./demo-broker.js";

/** Return whether a file of this type is played rather than shown. */
export const isPlayed = (contentType) => !contentType.startsWith("image/");

/** Show the stored file in `place`. `onAudio` is called for a video type that has no picture. */
export async function openPlayer(place, { key, filename, contentType }, { onAudio }) {
  const { url } = await inlineLink(key);
  const [kind] = contentType.split("/");
  const [element, verb] = kind === "image" ? [picture(filename), "show"] : [player(kind, filename), "play"];
  element.onerror = async () => {
    const fresh = await inlineLink(key).catch(() => ({ url: element.src }));
    if (fresh.url !== element.src) element.src = fresh.url; // the URL had expired
    else element.replaceWith(`This browser cannot ${verb} ${contentType}. Download the file instead.`);
  };
  if (kind === "video") {
    element.onloadedmetadata = () => {
      if (element.videoWidth) return;
      const audio = Object.assign(player("audio", filename), { src: element.src });
      element.replaceWith(audio); // a recording without a picture
      onAudio();
    };
  }
  element.src = url;
  place.replaceChildren(element);
}

/** Remove the player, and stop what it plays and loads. */
export function closePlayer(place) {
  const media = place.querySelector("audio, video");
  if (media) {
    media.onerror = null;
    media.pause();
    media.removeAttribute("src");
    media.load(); // ends the download (HTML, "best practices for authors using media elements")
  }
  place.replaceChildren();
}

const picture = (filename) => Object.assign(new Image(), { alt: filename });

function player(kind, filename) {
  const element = document.createElement(kind);
  const pauseOthers = () => {
    for (const other of document.querySelectorAll("audio, video")) if (other !== element) other.pause();
  };
  return Object.assign(element, { controls: true, preload: "metadata", ariaLabel: filename, onplay: pauseOthers });
}
