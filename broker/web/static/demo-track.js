// A row of a confirmed file: play, download, key, receipt, delete.

import { deleteObject, link, namedLink } from "./demo-broker.js";
import { announce } from "./demo-announce.js";
import { confirmOnClick, copyOnClick, fromTemplate, label, slot } from "./demo-dom.js";
import { describe } from "./demo-errors.js";
import { formatBytes } from "./demo-format.js";
import { nameOf } from "./demo-limits.js";
import { forget } from "./demo-memory.js";
import { closePlayer, isPlayed, openPlayer } from "./demo-player.js";

/** Show a confirmed file in a row; return a function that shows that it was deleted. */
export function showTrack(row, track, { onRemove }) {
  const opening = isPlayed(track.contentType) ? "Play" : "View";
  const place = row.slot("player");
  const numbers = `${formatBytes(track.size)} · ${nameOf(track.contentType)}`;
  const render = () => {
    row.show({ state: "ready", text: "Ready", numbers, main: place.hidden ? [opening, open] : ["Close", close] });
    row.slot("main").ariaExpanded = String(!place.hidden);
  };

  const open = async () => {
    place.hidden = false;
    render();
    try {
      await openPlayer(place, track, { onAudio: () => row.setKind("audio") });
    } catch (error) {
      place.textContent = describe(error, { otherwise: "The file could not be loaded" }).title;
    }
  };

  const close = () => {
    closePlayer(place);
    place.hidden = true;
    render();
  };

  const showDeleted = () => {
    forget(track.key);
    close();
    row.setDetails();
    row.slot("main").ariaExpanded = null;
    row.show({ state: "cancelled", text: "Deleted", side: ["Remove", onRemove] });
  };

  row.setKind(track.contentType.split("/")[0]);
  row.setDetails("Details", details(track, () => {
    showDeleted();
    announce(`Deleted: ${track.filename}.`);
  }));
  showDownload(row.slot("download"), track);
  row.onRemove(() => closePlayer(place));
  render();
  return showDeleted;
}

/** Make a link that saves the file under its name. One request returns the links of many rows, still without a name. */
function showDownload(anchor, { key, filename }) {
  let named = null; // the response with the name, until it expires
  label(anchor, "Download", filename);
  anchor.href = "#";
  const rename = async () => {
    if (!named || Date.parse(named.expiresAt) <= Date.now()) named = await namedLink(key, filename);
    anchor.href = named.url;
  };
  anchor.onfocus = anchor.onpointerenter = () => rename().catch(() => {}); // the click tries again
  anchor.onclick = async (event) => {
    if (named && Date.parse(named.expiresAt) > Date.now()) return;
    event.preventDefault();
    const words = await rename().then(() => null, (error) => describe(error).title);
    if (words) announce(`${filename}: ${words}.`);
    else anchor.click();
  };
  link(key).then(({ url }) => named || (anchor.href = url), () => {});
}

/** Return the element with the key and the receipt of a track, and the button that deletes it. */
function details(track, onDeleted) {
  const element = fromTemplate("track");
  slot(element, "key").textContent = track.key;
  slot(element, "claims").textContent = JSON.stringify(claims(track.receipt), null, 2);
  slot(element, "claims").ariaLabel = `Receipt of ${track.filename}`;
  copyOnClick(slot(element, "copyKey"), `the key of ${track.filename}`, track.key, announce);
  copyOnClick(slot(element, "copyReceipt"), `the receipt of ${track.filename}`, track.receipt, announce);
  confirmOnClick(slot(element, "delete"), track.filename, async () => {
    try {
      await deleteObject(track.key);
      onDeleted();
    } catch (error) {
      if (error.code === "not_found") return onDeleted();
      const { title, hint } = describe(error, { otherwise: "The file could not be deleted" });
      slot(element, "problem").textContent = `${title}. ${hint}`;
    }
  });
  return element;
}

/** Return the claims of the receipt without verifying it: the second part of a JWS is JSON in base64url. */
function claims(receipt) {
  const binary = atob(receipt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0))));
}
