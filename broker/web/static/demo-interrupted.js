// A row of an upload that a reload has interrupted: it needs its file again.

import { discard } from "./broker-upload.js";
import { announce } from "./demo-announce.js";
import { describe } from "./demo-errors.js";
import { formatBytes } from "./demo-format.js";
import { identityOf } from "./demo-list.js";

/** Show an unfinished upload in a row. `onFile` receives the file when it is chosen again. */
export function showInterrupted(row, known, { options, onFile, onRemove }) {
  const numbers = formatBytes(known.size);
  const ended = (text) => row.show({ state: "cancelled", text, numbers, side: ["Remove", onRemove] });

  const explain = (texts) => {
    row.explain(texts);
    render(texts.title);
    announce(`${row.filename}: ${texts.title}.`);
  };

  const end = async () => {
    row.explain(null);
    row.show({ state: "ending", text: "Discarding", numbers });
    try {
      await discard(known, options);
      ended("Discarded");
      announce(`Discarded: ${row.filename}.`);
    } catch (error) {
      explain(describe({ ...error, message: error.message, code: "not_removed" }));
    }
  };

  const choose = ({ target }) => {
    const [file] = target.files;
    target.value = "";
    if (!file) return;
    const { filename, size, lastModified } = identityOf(file);
    const isSame = filename === known.filename && size === known.size && lastModified === known.lastModified;
    if (isSame) onFile(file);
    else explain(describe({ code: "different_file", message: `${filename} is not the interrupted file.` }));
  };

  const render = (text) => {
    const isExplained = !row.slot("more").hidden;
    row.show({
      state: "interrupted", text, numbers, choose: true,
      side: isExplained ? ["Discard", end] : null, end: isExplained ? null : ["Discard", end],
    });
  };

  row.slot("file").onchange = choose;
  render("Interrupted. Choose the file again");
}
