// The list of confirmed files, and the browser's memory of them.

import { deleteObject, downloadUrl, getObject } from "./demo-broker.js";
import { $, announce, confirmOnClick, copyOnClick, dismiss, fromTemplate, slot } from "./demo-dom.js";
import { describe } from "./demo-errors.js";
import { formatBytes } from "./demo-format.js";

const STORAGE_KEY = "broker-demo:tracks";

const remembered = () => JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "[]");
const remember = (tracks) => localStorage.setItem(STORAGE_KEY, JSON.stringify(tracks));

/** Add a track-ready response at the top of the list and remember it; return its heading. */
export function add(track) {
  remember([...remembered().filter(({ key }) => key !== track.key), track]);
  announce(`${track.filename} is ready.`);
  return slot(show(track), "filename");
}

/** Show the remembered tracks again, except those that were deleted. */
export async function restore() {
  const tracks = remembered();
  const existing = await Promise.all(tracks.map(({ key }) => exists(key)));
  const deleted = tracks.filter((_, index) => !existing[index]).map(({ key }) => key);
  remember(remembered().filter(({ key }) => !deleted.includes(key)));
  for (const track of tracks) if (!deleted.includes(track.key) && !$(track.key)) show(track);
}

/** Whether an object exists; an error other than `not_found` counts as yes. */
const exists = (key) => getObject(key).then(() => true, ({ code }) => code !== "not_found");

function show(track) {
  const card = fromTemplate("track", track.filename);
  card.id = track.key;
  for (const name of ["filename", "status", "key"]) slot(card, name).textContent = track[name];
  slot(card, "about").textContent = `${formatBytes(track.size)} · ${track.contentType}`;
  slot(card, "claims").textContent = JSON.stringify(claims(track.receipt), null, 2);
  copyOnClick(slot(card, "copyKey"), `the key of ${track.filename}`, track.key);
  copyOnClick(slot(card, "copyReceipt"), `the receipt of ${track.filename}`, track.receipt);
  confirmOnClick(slot(card, "delete"), track.filename, () => erase(card, track));
  $("tracks").prepend(card);
  load(card, track).catch((error) => explain(card, error, "The file could not be loaded"));
  return card;
}

/** Return the claims of the receipt without verifying it: the second part of a JWS is JSON in base64url. */
function claims(receipt) {
  const binary = atob(receipt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0))));
}

/** Load the player or the picture, and the download link, by presigned URLs. */
async function load(card, { key, filename, contentType }) {
  const [inline, attachment] = [downloadUrl(key), downloadUrl(key, { disposition: "attachment", filename })];
  const element = player(contentType, filename);
  element.onerror = async () => {
    const src = await inline().catch(() => element.src);
    if (src !== element.src) element.src = src; // the URL had expired
    else element.replaceWith(`This browser cannot play ${contentType}. Download the file instead.`);
  };
  element.src = await inline();
  slot(card, "player").append(element);

  const anchor = slot(card, "download");
  anchor.ariaLabel = `Download ${filename}`;
  const renew = () => attachment().then((url) => (anchor.href = url), () => {}); // the store explains an expired URL
  anchor.onfocus = anchor.onpointerenter = renew;
  anchor.href = await attachment();
}

function player(contentType, filename) {
  const kind = contentType.split("/")[0];
  if (kind === "image") return Object.assign(new Image(), { alt: filename });
  return Object.assign(document.createElement(kind), { controls: true, preload: "metadata", ariaLabel: filename });
}

async function erase(card, { key, filename }) {
  try {
    await deleteObject(key);
    remember(remembered().filter((track) => track.key !== key));
    dismiss(card);
    announce(`Deleted: ${filename}.`);
  } catch (error) {
    explain(card, error, "The file could not be deleted");
  }
}

function explain(card, error, otherwise) {
  const { title, detail } = describe(error, otherwise);
  slot(card, "trouble").textContent = `${title}. ${detail}`;
  slot(card, "trouble").hidden = false;
}
