// One file, three steps: the broker signs, the browser sends the bytes to the store, the broker confirms.

const API = "/api/v1";
const TOKEN = "broker.token"; // its name in the session's storage

// What a browser leaves unnamed, by the file's extension.
const TYPES = {
  aac: "audio/aac", aif: "audio/aiff", aiff: "audio/aiff", flac: "audio/flac", m4a: "audio/mp4", opus: "audio/ogg",
};

// What a person can do about a refusal, by its code.
const HINTS = {
  content_mismatch: "The file is something else than its name says. Perhaps it was renamed: export it again.",
  unauthenticated: "Open the page by the link that “broker demo” printed: it carries the key to this page.",
  unsupported_type: "This kind of file is not taken. Choose one of the kinds listed above.",
};

const $ = (id) => document.getElementById(id);
const slot = (root, name) => root.querySelector(`[data-slot="${name}"]`);

const STORY = ["sign", "send", "confirm"].map((name) => [name, slot($(name), "words").textContent]);

/** Something that ends an upload, in words for a person. */
class Refusal extends Error {
  constructor(title, detail, { hint, requestId, retry = false } = {}) {
    super(detail);
    Object.assign(this, { title, hint, requestId, retry });
  }
}

// --- The broker and the store ----------------------------------------------------------------------------------------

/** The broker's answer to a request; throws a Refusal made from its problem document. */
async function ask(path, { headers, ...options } = {}) {
  const authorization = { Authorization: `Bearer ${sessionStorage.getItem(TOKEN)}` };
  const response = await fetch(API + path, { ...options, headers: { ...authorization, ...headers } }).catch(() => {
    throw new Refusal("The broker does not answer", "It was stopped, or the network is down.", { retry: true });
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new Refusal(answer.title ?? `The broker answered ${response.status}`, answer.detail, {
    hint: HINTS[answer.code],
    requestId: answer.requestId,
    retry: response.status >= 500 || response.status === 429,
  });
}

/** Step 1: a request that the store will take for this file. The same attempt gets the same upload. */
function sign(file, attempt) {
  const extension = file.name.split(".").pop().toLowerCase();
  return ask("/uploads", {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": attempt },
    body: JSON.stringify({ filename: file.name, contentType: file.type || TYPES[extension] || "", size: file.size }),
  });
}

/** Step 2: the bytes, straight to the store. By XMLHttpRequest, which tells how much it has sent. */
function send(file, signed) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const began = performance.now();
    request.open(signed.method, signed.url);
    for (const [name, value] of Object.entries(signed.headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => showSent(loaded, file.size, performance.now() - began);
    // 412 answers If-None-Match: an earlier attempt has already stored the bytes.
    request.onload = () => ([200, 412].includes(request.status) ? resolve() : reject(refusedByStore(request, signed)));
    request.onerror = () => reject(unreachable(signed));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    $("cancel").onclick = () => request.abort();
    request.send(file);
  });
}

function refusedByStore({ status, responseText }, { url }) {
  const code = /<Code>(\w+)<\/Code>/.exec(responseText)?.[1];
  const detail = `${new URL(url).host} answered ${status}${code ? ` (${code})` : ""}.`;
  return new Refusal("The store refused the file", detail, { hint: "Its link may have expired.", retry: true });
}

function unreachable({ url }) {
  const detail = `The connection to ${new URL(url).host} failed: the store is unreachable, or it refused this page.`;
  const hint = `If it always fails, the bucket’s CORS rules may not allow PUT from ${location.origin}.`;
  return new Refusal("The file did not get through", detail, { hint, retry: true });
}

/** Step 3: the track-ready answer. */
const confirm = ({ uploadId }) => ask(`/uploads/${uploadId}/confirm`, { method: "POST" });
/** A signed link to what is ready. */
const link = async (key, options) => (await ask(`/downloads/${key}?${new URLSearchParams(options)}`)).url;

// --- One upload, from the first step to the last ---------------------------------------------------------------------

/** The whole way. Trying again is the same attempt: what was stored before is not stored twice. */
async function upload(file, attempt = crypto.randomUUID()) {
  begin(file);
  try {
    const signed = await step("sign", "Asking for a link …", () => sign(file, attempt));
    const [type, store] = [signed.headers["Content-Type"], new URL(signed.url).host];
    say("sign", `Good for ${type}, exactly ${bytes(signed.size)}, until ${clock(signed.expiresAt)}.`);
    await step("send", `${signed.method} to ${store}, the store …`, () => send(file, signed));
    say("send", `${store} has all ${bytes(file.size)}.`);
    const track = await step("confirm", "Checking what the store received …", () => confirm(signed));
    say("confirm", `The key is ${track.key}.`);
    await show(track);
    announce(`${track.filename} is ready.`);
  } catch (error) {
    if (error.name === "AbortError") announce("Cancelled.");
    else refuse(error, () => upload(file, attempt));
  } finally {
    $("file").disabled = false;
    $("file").value = "";
  }
}

/** Do one step's work with its row in view. */
async function step(name, words, work) {
  const began = performance.now();
  mark(name, "active");
  say(name, words);
  announce(words);
  try {
    const result = await work();
    mark(name, "done");
    slot($(name), "time").textContent = duration(performance.now() - began);
    return result;
  } catch (error) {
    mark(name, "failed");
    say(name, error.name === "AbortError" ? "Cancelled: the file gets no key." : "This step failed.");
    throw error;
  }
}

function begin(file) {
  $("steps-title").textContent = `What happens to ${file.name}`;
  $("refusal").hidden = true;
  $("file").disabled = true;
  for (const [name, words] of STORY) {
    mark(name, "waiting");
    say(name, words);
    slot($(name), "time").textContent = "";
  }
  showSent(0, file.size, 0);
}

// --- What the page shows ---------------------------------------------------------------------------------------------

function mark(name, state) {
  $(name).dataset.state = state;
  $(name).ariaCurrent = state === "active" ? "step" : null;
  if (name === "send") $("sending").hidden = state !== "active";
}

const say = (name, words) => (slot($(name), "words").textContent = words);
const announce = (words) => ($("status").textContent = words);

function showSent(sent, size, elapsed) {
  const [share, rate] = [size ? sent / size : 0, elapsed ? (sent / elapsed) * 1000 : 0];
  $("progress").value = share;
  $("percent").textContent = `${Math.floor(share * 100)} %`;
  $("rate").textContent = `${megabytes(sent)} of ${megabytes(size)}, ${megabytes(rate)}/s`;
}

function refuse({ title = "Something went wrong on this page", message, hint, requestId, retry }, again) {
  const box = $("refusal");
  slot(box, "title").textContent = title;
  slot(box, "detail").textContent = message;
  slot(box, "hint").textContent = hint ?? "";
  slot(box, "request").textContent = requestId ? `Request id: ${requestId}` : "";
  $("retry").hidden = !retry;
  $("retry").onclick = again;
  box.hidden = false;
}

async function show(track) {
  const card = $("track").content.cloneNode(true).firstElementChild;
  for (const name of ["filename", "status", "key", "contentType", "receipt"]) {
    slot(card, name).textContent = track[name];
  }
  slot(card, "size").textContent = `${megabytes(track.size)} (${bytes(track.size)})`;
  slot(card, "claims").textContent = JSON.stringify(claims(track.receipt), null, 2);
  for (const button of card.querySelectorAll("[data-copy]")) {
    button.onclick = () => copy(button, track[button.dataset.copy]);
  }
  $(track.key)?.remove();
  card.id = track.key;
  $("tracks").prepend(card);
  $("finished").hidden = false;
  slot(card, "player").append(player(track, await link(track.key)));
  slot(card, "download").href = await link(track.key, { disposition: "attachment", filename: track.filename });
}

function player({ contentType, filename }, url) {
  const kind = contentType.split("/")[0];
  const element = document.createElement(kind === "image" ? "img" : kind);
  element.onerror = () => element.replaceWith(`This browser does not show ${contentType}; the download is there.`);
  const own = kind === "image" ? { alt: filename } : { controls: true, preload: "metadata", ariaLabel: filename };
  return Object.assign(element, own, { src: url });
}

/** What the receipt claims: the second part of a JWS is JSON in base64url. Reading is not verifying. */
function claims(receipt) {
  const binary = atob(receipt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0))));
}

async function copy(button, text) {
  button.textContent = await navigator.clipboard.writeText(text).then(() => "Copied", () => "Not allowed");
  announce(button.textContent);
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const bytes = (count) => `${count.toLocaleString("en")} bytes`;
const megabytes = (count) => (count < 1e6 ? `${number.format(count / 1e3)} kB` : `${number.format(count / 1e6)} MB`);
const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${number.format(ms / 1000)} s`);
const clock = (instant) => new Date(instant).toLocaleTimeString("en-GB", { timeStyle: "short" });

// --- The token, the picker, the drop ---------------------------------------------------------------------------------

/** The token comes in the fragment, which no server sees, and does not stay in the address bar. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(TOKEN, given);
    history.replaceState(null, "", location.pathname);
  }
  const known = sessionStorage.getItem(TOKEN) !== null;
  $("file").disabled = !known;
  $("refusal").hidden = known;
  if (!known) refuse(new Refusal("This page has no token yet", HINTS.unauthenticated));
}

/** A drop anywhere on the page counts; without this the browser would open the file and leave the page. */
function watchDrops() {
  const over = (is) => $("drop").toggleAttribute("data-over", is && !$("file").disabled);
  addEventListener("dragover", (event) => (event.preventDefault(), over(true)));
  addEventListener("dragleave", (event) => event.relatedTarget ?? over(false));
  addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    const [file] = event.dataTransfer.files;
    if (file && !$("file").disabled) upload(file);
  });
}

$("file").addEventListener("change", ({ target }) => target.files[0] && upload(target.files[0]));
addEventListener("hashchange", takeToken);
watchDrops();
takeToken();
