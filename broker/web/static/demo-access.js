// The token of the page: taken from the link, and asked for again when the broker does not accept it any more.

import { $, setText } from "./demo-dom.js";

const STORED = "broker.token"; // the key in sessionStorage

const TEXTS = {
  missing: ["This page has no token", "Open the link that “broker demo” printed. It contains the token."],
  expired: [
    "Your link has expired",
    "Open a fresh link, or paste it here. Your uploads then continue where they were.",
  ],
};

let token = sessionStorage.getItem(STORED);
let check = null; // a running request that checks the token
let asked = null; // { promise, resolve }: uploads wait for a fresh token
const listeners = new Set();
const otherTabs = new BroadcastChannel(STORED);

export const hasToken = () => Boolean(token);
export const isWaiting = () => asked !== null;

/** Call `listener` when the page gets a token, and when it waits for one; return a function that ends this. */
export function onAccess(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Return the user of a token. It is read without verifying the token: it only separates what the page remembers. */
export function subject(of = token) {
  try {
    const claims = JSON.parse(atob(of.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    return String(claims.sub ?? claims.id ?? "");
  } catch {
    return "";
  }
}

/** Return the token. After a 401 the broker is asked whether it takes the token; if not, wait for a fresh one. */
export async function getToken({ refresh = false } = {}) {
  if (refresh && !asked) {
    check ??= isAccepted(token).finally(() => (check = null));
    if (!(await check)) ask();
  }
  return asked ? asked.promise : token;
}

/** Take the token from the fragment of the URL, which is not sent to any server, and show what is missing. */
export async function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    history.replaceState(null, "", location.pathname);
    if (asked) await offer(given);
    else accept(given);
    otherTabs.postMessage(given);
  }
  if (!asked) show(token ? null : "missing");
  notify();
}

function ask() {
  if (asked) return;
  asked = {};
  asked.promise = new Promise((resolve) => (asked.resolve = resolve));
  show("expired");
  notify();
}

/** Use a token if the broker accepts it. */
async function offer(given) {
  setText($("access-error"), "");
  if (await isAccepted(given)) return accept(given);
  setText($("access-error"), "This link is not valid any more either. Open the newest one.");
}

function accept(given) {
  const isOtherUser = token && subject(given) !== subject();
  sessionStorage.setItem(STORED, given);
  if (isOtherUser) return location.reload(); // the uploads of this page belong to the user before
  token = given;
  show(null);
  asked?.resolve(token);
  asked = null;
  notify();
}

/** Whether the broker accepts a token; it does not say so while it cannot be reached, and then the upload retries. */
async function isAccepted(given) {
  const headers = { Authorization: `Bearer ${given}` };
  const request = fetch(`/api/v1/keys?url=${location.origin}`, { headers }); // a call that needs no store
  return request.then(({ status }) => status !== 401, () => true);
}

function notify() {
  for (const listener of listeners) listener();
}

function show(what) {
  $("access").hidden = !what;
  if (!what) return;
  const [title, text] = TEXTS[what];
  setText($("access-title"), title);
  setText($("access-text"), text);
}

$("access-form").onsubmit = (event) => {
  event.preventDefault();
  const given = $("access-link").value.trim();
  $("access-link").value = "";
  if (given) offer(given.split("#token=").pop());
};
otherTabs.onmessage = ({ data }) => (asked || !token) && offer(data);
