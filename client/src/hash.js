// The SHA-256 of a file.

const HASHED_MAX_BYTES = 64 * 2 ** 20; // crypto.subtle needs the whole file in memory

/**
 * Return the SHA-256 in base64; null for a file that is too large, and on a page without a secure context.
 *
 * crypto.subtle computes it in a thread of the browser: a worker would gain nothing, and a policy may forbid workers.
 */
export async function sha256(file) {
  if (file.size > HASHED_MAX_BYTES || !globalThis.crypto?.subtle) return null;
  const hash = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return btoa(String.fromCharCode(...new Uint8Array(hash)));
}
