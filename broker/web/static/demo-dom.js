// Functions that the parts of the page share: find elements, label buttons, keep the focus.

const COPIED_MS = 1_500; // that a copy button shows its result

export const $ = (id) => document.getElementById(id);
export const slot = (root, name) => root.querySelector(`[data-slot="${name}"]`);

const ICONS = [
  ["audio", /\.(aac|aiff?|flac|m4a|mp3|oga|ogg|opus|wav|weba)$/i],
  ["image", /\.(avif|gif|jpe?g|png|webp)$/i],
  ["video", /\.(m4v|mov|mp4|webm)$/i],
  ["file", /$/],
];

/** For each label of a button its icon, which replaces the label on a narrow screen. */
const LABEL_ICONS = {
  Cancel: "close", Close: "close", Details: "more", Discard: "bin", Download: "down", Pause: "pause", Play: "play",
  Remove: "bin", Restart: "again", Resume: "play", Retry: "again", View: "view", "Why?": "why",
};

/** Return a new element made from a template. */
export const fromTemplate = (id) => $(id).content.cloneNode(true).firstElementChild;

/** Return the kind of a file by its name: audio, image, video or file. */
export const kindOf = (filename) => ICONS.find(([, pattern]) => pattern.test(filename))[0];

/** Give a button or summary its label and icon; `what` names its object to screen readers. */
export function label(button, text, what) {
  if (button.dataset.label === text) return;
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.classList.add("icon");
  icon.ariaHidden = "true";
  icon.append(document.createElementNS(icon.namespaceURI, "use"));
  icon.firstChild.setAttribute("href", `#icon-${LABEL_ICONS[text]}`);
  const words = Object.assign(document.createElement("span"), { className: "label", textContent: text });
  button.replaceChildren(icon, words);
  button.dataset.label = text;
  button.ariaLabel = `${text} ${what}`;
}

/** Set the text of an element, if it differs: the same text would disturb screen readers and selections. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Call `change`; if that hides the focused element inside `element`, move the focus to `next`. */
export function keepFocus(element, change, next) {
  const hadFocus = element.contains(document.activeElement);
  change();
  const focused = document.activeElement;
  if (hadFocus && !(element.contains(focused) && focused.checkVisibility())) next?.focus();
}

/** Make a button copy `text` to the clipboard; `what` names the text. `announce` receives the result. */
export function copyOnClick(button, what, text, announce) {
  const words = button.textContent;
  button.ariaLabel = `Copy ${what}`;
  button.onclick = async () => {
    const result = await navigator.clipboard.writeText(text).then(() => "Copied", () => "Not allowed");
    button.textContent = result;
    announce(`${result}: ${what}.`);
    setTimeout(() => (button.textContent = words), COPIED_MS);
  };
}

/** Make a button call `act` on the second click. The first one shows a question, which Escape or leaving cancels. */
export function confirmOnClick(button, what, act) {
  const words = button.textContent;
  const show = (text) => Object.assign(button, { textContent: text, ariaLabel: `${text} ${what}`.trim() });
  const reset = () => {
    delete button.dataset.asking;
    show(words);
  };
  reset();
  button.addEventListener("blur", reset);
  button.addEventListener("keydown", ({ key }) => key === "Escape" && reset());
  button.onclick = () => {
    if (!("asking" in button.dataset)) {
      button.dataset.asking = "";
      show(`Really ${words[0].toLowerCase()}${words.slice(1)}?`);
      button.focus(); // Safari does not focus a clicked button, and without focus there is no blur
    } else {
      reset();
      act();
    }
  };
}
