// The list of rows.

import { $, keepFocus } from "./demo-dom.js";
import { Row } from "./demo-row.js";

const rows = new Map(); // { row, identity } by the row's element

const isSame = (one, other) =>
  one.filename === other.filename && one.size === other.size && one.lastModified === other.lastModified;

/** Return what identifies a file: its name, size and time of the last change. */
export const identityOf = ({ name, size, lastModified }) => ({ filename: name, size, lastModified });

/** Add rows at the top, in this order; return them. */
export function addRows(identities) {
  const added = identities.map((identity) => ({ identity, row: new Row(identity.filename) }));
  for (const one of added) {
    rows.set(one.row.element, one);
    one.row.onRemove(() => rows.delete(one.row.element));
  }
  $("rows").prepend(...added.map(({ row }) => row.element));
  updateListing();
  return added.map(({ row }) => row);
}

/** Return the row of a file that is in one of these states. */
export function findRow(identity, states) {
  const found = [...rows.values()].find(
    (one) => isSame(one.identity, identity) && states.includes(one.row.element.dataset.state),
  );
  return found?.row;
}

/** Return the rows in one of these states. */
export function rowsIn(...states) {
  return [...rows.values()].map(({ row }) => row).filter(({ element }) => states.includes(element.dataset.state));
}

/** Remove a row, and the list with the last one. */
export function removeRow(row) {
  row.remove();
  $("rows").dispatchEvent(new Event("row"));
  updateListing();
}

function updateListing() {
  keepFocus($("listing"), () => ($("listing").hidden = rows.size === 0), $("files"));
}
