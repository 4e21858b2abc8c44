// The page's token and its own requests to the broker. broker-upload.js makes those of the uploads.

const TOKEN = "broker.token"; // the key in sessionStorage

export const token = () => sessionStorage.getItem(TOKEN);

/** Move the token from the fragment of the URL, which is not sent to any server, to sessionStorage. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  sessionStorage.setItem(TOKEN, given);
  history.replaceState(null, "", location.pathname);
}

/** Return the broker's response; throw an Error with the problem's `code` and `requestId`. */
async function request(path, method = "GET") {
  const headers = { Authorization: `Bearer ${token()}` };
  const response = await fetch(`/api/v1${path}`, { method, headers }).catch(() => {
    throw Object.assign(new Error("The broker did not respond."), { code: "network" });
  });
  const body = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (response.ok) return body;
  throw Object.assign(new Error(body.detail ?? `The broker returned ${response.status}.`), body);
}

export const getUpload = (uploadId) => request(`/uploads/${uploadId}`);
export const getObject = (key) => request(`/objects/${key}`);
export const deleteObject = (key) => request(`/objects/${key}`, "DELETE");

/** Return a function that returns a presigned URL of an object: the same one until it expires. */
export function downloadUrl(key, options) {
  const path = `/downloads/${key}?${new URLSearchParams(options)}`;
  let last;
  return async () => {
    if (!last || Date.parse(last.expiresAt) <= Date.now()) last = await request(path);
    return last.url;
  };
}
