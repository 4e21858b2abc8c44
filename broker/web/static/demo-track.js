// What was confirmed: the cards of the lower list, and the browser's memory of them.

import { deleteObject, linkTo, lookAtObject } from "./demo-broker.js";
import { $, announce, askTwice, copies, dismiss, made, slot } from "./demo-dom.js";
import { bytes, explained } from "./demo-words.js";

const MEMORY = "broker-demo:tracks";

const remembered = () => JSON.parse(localStorage.getItem(MEMORY) ?? "[]");
const remember = (tracks) => localStorage.setItem(MEMORY, JSON.stringify(tracks));

/** Put a track-ready answer on top of the list and remember it; its heading. */
export function add(track) {
  remember([...remembered().filter(({ key }) => key !== track.key), track]);
  announce(`${track.filename} is ready.`);
  return slot(show(track), "filename");
}

/** Show again what is remembered and still there. */
export async function restore() {
  const tracks = remembered();
  const found = await Promise.all(tracks.map(({ key }) => isThere(key)));
  const gone = tracks.filter((_, index) => !found[index]).map(({ key }) => key);
  remember(remembered().filter(({ key }) => !gone.includes(key)));
  for (const track of tracks) if (!gone.includes(track.key) && !$(track.key)) show(track);
}

/** Whether an object is there; only a clear answer counts as no. */
const isThere = (key) => lookAtObject(key).then(() => true, ({ code }) => code !== "not_found");

function show(track) {
  const card = made("track", track.filename);
  card.id = track.key;
  for (const name of ["filename", "status", "key"]) slot(card, name).textContent = track[name];
  slot(card, "about").textContent = `${bytes(track.size)} · ${track.contentType}`;
  slot(card, "claims").textContent = JSON.stringify(claims(track.receipt), null, 2);
  copies(slot(card, "copyKey"), `the key of ${track.filename}`, track.key);
  copies(slot(card, "copyReceipt"), `the receipt of ${track.filename}`, track.receipt);
  askTwice(slot(card, "delete"), track.filename, () => erase(card, track));
  $("tracks").prepend(card);
  play(card, track).catch((error) => explain(card, error));
  return card;
}

/** What the receipt claims: the second part of a JWS is JSON in base64url. Reading is not verifying. */
function claims(receipt) {
  const binary = atob(receipt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0))));
}

/** The player or the picture, and the download, by signed links. */
async function play(card, { key, filename, contentType }) {
  const [shown, saved] = [linkTo(key), linkTo(key, { disposition: "attachment", filename })];
  const element = player(contentType, filename);
  element.onerror = async () => {
    const src = await shown().catch(() => element.src);
    if (src !== element.src) element.src = src; // the link had run out
    else element.replaceWith(`This browser does not show ${contentType}; the download is there.`);
  };
  element.src = await shown();
  slot(card, "player").append(element);

  const anchor = slot(card, "download");
  anchor.ariaLabel = `Download ${filename}`;
  const renew = () => saved().then((url) => (anchor.href = url), () => {}); // a link that has run out says so itself
  anchor.onfocus = anchor.onpointerenter = renew;
  anchor.href = await saved();
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
    explain(card, error);
  }
}

function explain(card, error) {
  const { title, detail } = explained(error);
  slot(card, "trouble").textContent = `${title}. ${detail}`;
  slot(card, "trouble").hidden = false;
}
