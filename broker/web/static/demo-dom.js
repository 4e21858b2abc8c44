// Functions that the parts of the page share: find, create and remove elements, and announce to screen readers.

const ANNOUNCED_MAX = 8;
const COPIED_MS = 1_500; // that a copy button shows its result

export const $ = (id) => document.getElementById(id);
export const slot = (root, name) => root.querySelector(`[data-slot="${name}"]`);

const ICONS = [
  ["audio", /\.(aac|aiff?|flac|m4a|mp3|oga|ogg|opus|wav|weba)$/i],
  ["image", /\.(avif|gif|jpe?g|png|webp)$/i],
  ["video", /\.(m4v|mov|mp4|webm)$/i],
  ["file", /$/],
];

/** Return a new list item made from a template, with the icon for the file name. */
export function fromTemplate(template, filename) {
  const item = $(template).content.cloneNode(true).firstElementChild;
  const [icon] = ICONS.find(([, pattern]) => pattern.test(filename));
  item.querySelector("use").setAttribute("href", `#icon-${icon}`);
  return item;
}

/** Announce a sentence to screen readers. A new element for each: replaced text may not be read. */
export function announce(text) {
  const sentence = document.createElement("p");
  sentence.textContent = text;
  $("announcements").append(sentence);
  if ($("announcements").childElementCount > ANNOUNCED_MAX) $("announcements").firstElementChild.remove();
}

/** Call `change`; if that hides the focused element inside `element`, move the focus to `next`. */
export function keepFocus(element, change, next) {
  const hadFocus = element.contains(document.activeElement);
  change();
  if (hadFocus && !element.checkVisibility()) next?.focus();
}

/** Remove a list item. Its focus moves to a neighbour, or to the button that chooses files. */
export function dismiss(item) {
  const neighbour = item.nextElementSibling ?? item.previousElementSibling;
  keepFocus(item, () => item.remove(), neighbour?.querySelector("h3") ?? $("files"));
}

/** Make a button copy `text` to the clipboard; `what` names the text. */
export function copyOnClick(button, what, text) {
  const label = button.textContent;
  button.ariaLabel = `Copy ${what}`;
  button.onclick = async () => {
    const result = await navigator.clipboard.writeText(text).then(() => "Copied", () => "Not allowed");
    button.textContent = result;
    announce(`${result}: ${what}.`);
    setTimeout(() => (button.textContent = label), COPIED_MS);
  };
}

/** Make a button call `act` on the second click. The first one shows a question, which Escape or leaving cancels. */
export function confirmOnClick(button, what, act) {
  const label = button.textContent;
  const show = (text) => Object.assign(button, { textContent: text, ariaLabel: `${text} ${what}` });
  const reset = () => {
    delete button.dataset.asking;
    show(label);
  };
  reset();
  button.addEventListener("blur", reset);
  button.addEventListener("keydown", ({ key }) => key === "Escape" && reset());
  button.onclick = () => {
    if ("asking" in button.dataset) return act();
    button.dataset.asking = "";
    show(`Really ${label.toLowerCase()}?`);
    button.focus(); // Safari does not focus a clicked button, and without focus there is no blur
  };
}
