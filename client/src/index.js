// Uploads files straight to the store. The broker signs and confirms; the files' bytes do not pass through it.
// broker-upload.d.ts documents the exported names. build.mjs adds the version.

import { BrokerApi } from "./broker_api.js";
import { asUploadError, invalidOptions, UploadError } from "./errors.js";
import { Memory } from "./memory.js";
import { Queue } from "./queue.js";
import { checkToken, Upload } from "./upload.js";

export { UploadError };

export const upload = (file, options) => new Upload(file, options ?? {});

export const createQueue = (options) => new Queue(options ?? {});

export const getLimits = async (options) => new BrokerApi(options ?? {}).limits();

export const unfinished = (options) => new Memory(options ?? {}).all();

export async function discard(known, options) {
  try {
    if (!known) throw invalidOptions("discard() needs an upload of unfinished().");
    checkToken(options ?? {});
    const { uploadId, ...identity } = known;
    if (uploadId) await new BrokerApi(options).abort(uploadId);
    new Memory(options).forget(identity);
  } catch (error) {
    throw asUploadError(error);
  }
}
