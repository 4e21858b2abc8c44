// The page's token, and the few questions it asks the broker itself. Uploads are broker-upload.js's affair.

const TOKEN = "broker.token"; // its name in the session's storage

export const token = () => sessionStorage.getItem(TOKEN);

/** The token comes in the fragment, which no server sees, and does not stay in the address bar. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  sessionStorage.setItem(TOKEN, given);
  history.replaceState(null, "", location.pathname);
}

/** The broker's answer; throws an Error with the problem's `code` and `requestId`. */
async function ask(path, method = "GET") {
  const headers = { Authorization: `Bearer ${token()}` };
  const response = await fetch(`/api/v1${path}`, { method, headers }).catch(() => {
    throw Object.assign(new Error("The broker does not answer."), { code: "network" });
  });
  const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw Object.assign(new Error(answer.detail ?? `The broker answered ${response.status}.`), answer);
}

export const lookAtUpload = (uploadId) => ask(`/uploads/${uploadId}`);
export const lookAtObject = (key) => ask(`/objects/${key}`);
export const deleteObject = (key) => ask(`/objects/${key}`, "DELETE");

/** A function that gives a signed link to an object: the same one, until it has run out. */
export function linkTo(key, options) {
  const path = `/downloads/${key}?${new URLSearchParams(options)}`;
  let last;
  return async () => {
    if (!last || Date.parse(last.expiresAt) <= Date.now()) last = await ask(path);
    return last.url;
  };
}
