// What the page's parts share: finding, filling, removing elements, and saying something aloud.

export const $ = (id) => document.getElementById(id);
export const slot = (root, name) => root.querySelector(`[data-slot="${name}"]`);

const ICONS = [
  ["audio", /\.(aac|aiff?|flac|m4a|mp3|oga|ogg|opus|wav|weba)$/i],
  ["image", /\.(gif|jpe?g|png|webp)$/i],
  ["video", /\.(m4v|mp4|webm)$/i],
  ["file", /$/],
];

/** A new item by a template, with the icon for a file of that name. */
export function made(template, filename) {
  const item = $(template).content.cloneNode(true).firstElementChild;
  const [icon] = ICONS.find(([, pattern]) => pattern.test(filename));
  item.querySelector("use").setAttribute("href", `#icon-${icon}`);
  return item;
}

/** Say it to those who hear the page. Each sentence is an element of its own: the next does not swallow it. */
export function announce(words) {
  const sentence = document.createElement("p");
  sentence.textContent = words;
  $("said").append(sentence);
  if ($("said").childElementCount > 8) $("said").firstElementChild.remove();
}

/** Do something to an element that may take the focus away with it; then `heir` gets the focus. */
export function keepFocus(element, change, heir) {
  const held = element.contains(document.activeElement);
  change();
  if (held && !element.checkVisibility()) heir?.focus();
}

/** Take an item off its list; the focus goes to its neighbour, or to where files are chosen. */
export function dismiss(item) {
  const neighbour = item.nextElementSibling ?? item.previousElementSibling;
  keepFocus(item, () => item.remove(), neighbour?.querySelector("h3") ?? $("files"));
}

/** Have a button copy a text to the clipboard. */
export function copies(button, what, text) {
  const word = button.textContent;
  button.ariaLabel = `Copy ${what}`;
  button.onclick = async () => {
    const done = await navigator.clipboard.writeText(text).then(() => "Copied", () => "Not allowed");
    button.textContent = done;
    announce(`${done}: ${what}.`);
    setTimeout(() => (button.textContent = word), 1500);
  };
}

/** Have a button ask before it acts: the first click asks, the second acts, going elsewhere takes the question back. */
export function askTwice(button, what, act) {
  const word = button.textContent;
  const say = (words) => Object.assign(button, { textContent: words, ariaLabel: `${words} ${what}` });
  const calm = () => {
    delete button.dataset.asking;
    say(word);
  };
  calm();
  button.addEventListener("blur", calm);
  button.addEventListener("keydown", ({ key }) => key === "Escape" && calm());
  button.onclick = () => {
    if ("asking" in button.dataset) return act();
    button.dataset.asking = "";
    say(`Really ${word.toLowerCase()}?`);
    button.focus(); // not every browser gives a clicked button the focus, and without it there is no blur
  };
}
