// Several tabs with the page: which one uploads a file.

import { subject } from "./demo-access.js";

const nameOf = ({ filename, size, lastModified }) =>
  `broker-demo:${JSON.stringify([subject(), filename, size, lastModified])}`;

/** Tell other tabs that this one uploads a file, until `ended` settles. */
export function hold(identity, ended) {
  navigator.locks?.request(nameOf(identity), { mode: "shared" }, () => ended.catch(() => {}));
}

/** Return a function that tells whether another tab uploads a file. */
export async function heldElsewhere() {
  const held = (await navigator.locks?.query())?.held ?? [];
  const names = new Set(held.map(({ name }) => name));
  return (identity) => names.has(nameOf(identity));
}

/** Wait until no tab uploads a file. */
export const released = (identity) => navigator.locks.request(nameOf(identity), () => {});
