// A backend that saves tracks: by confirm, or by a receipt that it verifies offline.
// Settings: BROKER, SERVICE_TOKEN (with the scope broker:service), JWT_SECRET (of your users' tokens), PORT, and
// BROKER_ISSUER if the broker has another one.
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const { BROKER, SERVICE_TOKEN, JWT_SECRET, BROKER_ISSUER = "r2-upload-broker", PORT = "8001" } = process.env;
const publicKeys = createRemoteJWKSet(new URL(`${BROKER}/.well-known/jwks.json`), { cacheMaxAge: 86_400_000 });
const UNREACHABLE = new Set(["ERR_JWKS_TIMEOUT", "ERR_JOSE_GENERIC"]); // the response was late, or not 200
const tracks = new Map(); // your database: the key of each track, and its user

class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Return the user of the request. Replace this by your own authentication. */
async function signedIn({ headers }) {
  const token = headers.authorization?.replace(/^Bearer /, "") ?? "";
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(JWT_SECRET), { algorithms: ["HS256"] });
    return payload.sub;
  } catch {
    throw new Refusal(401, "unauthenticated");
  }
}

/** Confirm an upload at the broker, and save its key. */
async function byUpload(user, { uploadId }) {
  if (typeof uploadId !== "string") throw new Refusal(422, "uploadId is missing");
  const url = `${BROKER}/api/v1/uploads/${encodeURIComponent(uploadId)}/confirm`;
  const headers = { Authorization: `Bearer ${SERVICE_TOKEN}` };
  const response = await fetch(url, { method: "POST", headers }).catch(() => {
    throw new Refusal(503, "the broker is not available");
  });
  const track = await response.json();
  if (!response.ok) throw new Refusal(response.status, track.code);
  // A large object is still being copied: the client repeats its request.
  if (response.status === 202) return [202, { status: "promoting" }, { "Retry-After": response.headers.get("Retry-After") }];
  return save(track.key, track.owner, user);
}

/** Verify a receipt without a call to the broker, and save its key. */
async function byReceipt(user, { receipt }) {
  const rules = { algorithms: ["EdDSA"], issuer: BROKER_ISSUER, typ: "track-ready+jwt" };
  const { payload } = await jwtVerify(receipt, publicKeys, rules).catch((error) => {
    const isUnreachable = !(error instanceof errors.JOSEError) || UNREACHABLE.has(error.code);
    throw isUnreachable
      ? new Refusal(503, "the public keys are not available")
      : new Refusal(422, "the receipt is not valid");
  });
  return save(payload.key, payload.sub, user);
}

/** Save a track of the user; a second request with the same key changes nothing. */
function save(key, owner, user) {
  if (owner !== user) throw new Refusal(404, "not_found");
  tracks.set(key, user);
  return [201, { key }];
}

const ROUTES = { "POST /tracks/by-upload": byUpload, "POST /tracks/by-receipt": byReceipt };

async function respond(request) {
  const route = ROUTES[`${request.method} ${request.url}`];
  if (!route) throw new Refusal(404, "not_found");
  const user = await signedIn(request);
  const body = await json(request).catch(() => null);
  if (!body) throw new Refusal(422, "the body is not JSON");
  return route(user, body);
}

const server = createServer(async (request, response) => {
  const [status, body, headers] = await respond(request).catch((error) => {
    if (!(error instanceof Refusal)) console.error(error);
    return [error.status ?? 500, { detail: error.status ? error.message : "internal" }];
  });
  response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));
});
server.listen(Number(PORT), "127.0.0.1");
