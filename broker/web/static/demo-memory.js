// What the browser remembers of confirmed files, for each user.

import { subject } from "./demo-access.js";

const key = () => `broker-demo:tracks:${subject()}`;

/** Return the remembered tracks in the order of the list: files that were chosen together keep their order. */
export function tracks() {
  try {
    const list = JSON.parse(localStorage.getItem(key())) ?? [];
    return list.sort((one, other) => other.chosenAtMs - one.chosenAtMs || one.index - other.index);
  } catch {
    return [];
  }
}

/** Remember a track. */
export const remember = (track) => save([track, ...tracks().filter((one) => one.key !== track.key)]);

/** Forget the track with a key. */
export const forget = (trackKey) => save(tracks().filter((one) => one.key !== trackKey));

function save(list) {
  try {
    localStorage.setItem(key(), JSON.stringify(list));
  } catch {
    // a full or forbidden storage: the list is shorter after a reload, and the files are safe
  }
}
