// Options for the plugin @uppy/aws-s3 of Uppy 4, 5 and 6, which upload by the broker and confirm every upload.
// broker-uppy.d.ts documents the exported names. build.mjs adds the version.

import { sha256 } from "../hash.js";
import { Calls, delay } from "./calls.js";

const MIB = 2 ** 20;
const PART_BYTES = 8 * MIB; // of which 10 000 make 78 GiB; larger files get larger parts
const PART_MIN_BYTES = 5 * MIB; // Uppy makes no smaller ones
const HASHED_MAX_BYTES = 64 * MIB; // sha256() of larger files is null
const CONFIRMS_MAX = 600; // of an upload that the broker copies in ranges, one in a second

const partBytes = (bytes) => Math.max(PART_BYTES, Math.ceil(bytes / 10_000 / MIB) * MIB);
const bytesOf = (file) => file.size ?? file.data.size;

/** @param {{ broker?: string, getToken?: (why: { refresh: boolean }) => any, checksum?: boolean }} options */
export function brokerUppy(uppy, options) {
  const { broker = "", getToken, checksum = false } = options ?? {};
  if (typeof getToken !== "function") throw new TypeError("brokerUppy() needs the option getToken.");
  const calls = new Calls(broker, getToken);
  const completions = new Map(); // by key: the response to a completion
  const created = new Map(); // by file: a new upload, as a promise, until Uppy sends a request about it
  const hasChecksum = (file) => checksum && bytesOf(file) <= HASHED_MAX_BYTES;

  const sign = async (request, file, signal) => {
    const { method, uploadId, partNumber } = request;
    take(uploadId);
    const signed = await calls.send("POST", "/s3/presign", signal, {
      method,
      uploadId,
      partNumber,
      ...(file ? await declared(file, method) : { key: request.key }),
    });
    if (file && uppy.getFile(file.id)) uppy.setFileState(file.id, { brokerUploadId: signed.uploadId }); // for a reload
    return signed;
  };

  const declared = async (file, method) => ({
    key: file.name,
    contentType: file.type ?? "",
    size: bytesOf(file),
    ...(method === "POST" && { partSize: Math.max(chunkBytes(bytesOf(file)), PART_MIN_BYTES) }),
    ...(method === "PUT" && hasChecksum(file) && { sha256: await sha256(file.data) }),
  });

  /** Return the size of the parts that Uppy makes: an application may replace `getChunkSize`. */
  const chunkBytes = (size) => {
    let found = plugin.getChunkSize;
    uppy.iteratePlugins?.(({ opts }) => {
      if (opts?.listParts === plugin.listParts) found = opts.getChunkSize ?? found;
    });
    return found({ size });
  };

  /** Create an upload in parts. Uppy forgets one that it pauses meanwhile, and creates it again: that is the same. */
  const create = (file) => {
    let upload = created.get(file.id);
    if (upload) return upload;
    upload = sign({ method: "POST" }, file);
    created.set(file.id, upload);
    upload.then(({ uploadId }) => (upload.uploadId = uploadId), () => created.delete(file.id));
    return upload;
  };

  const take = (uploadId) => {
    for (const [id, upload] of created) if (uploadId && upload.uploadId === uploadId) created.delete(id);
  };

  /** @param {{ uploadId?: any, key?: any }} upload @param {AbortSignal} [signal] */
  const abort = ({ uploadId, key }, signal) => {
    take(uploadId);
    return calls.send("DELETE", route(uploadId, key), signal);
  };

  // Uppy does not abort an upload whose creation it has cancelled
  uppy.on("file-removed", ({ id }) => {
    created.get(id)?.then((upload) => abort(upload)).catch(() => {});
    created.delete(id);
  });

  const route = (uploadId, key, last = "") =>
    `/s3/multipart/${encodeURIComponent(uploadId)}${last}?key=${encodeURIComponent(key)}`;

  const complete = async ({ uploadId, key }, signal) => {
    const completed = await calls.send("POST", route(uploadId, key, "/complete"), signal, { parts: [] });
    completions.set(key, completed);
    return completed;
  };

  const confirm = async (uploadId) => {
    for (let left = CONFIRMS_MAX; left; left--) {
      const track = await calls.send("POST", `/api/v1/uploads/${encodeURIComponent(uploadId)}/confirm`);
      if (track.status === "ready") return track;
      await delay(1000);
    }
    throw new Error("The upload takes too long to confirm. Confirm it again later.");
  };

  const finish = async (id) => {
    const file = uppy.getFile(id);
    const { response } = file ?? {};
    if (!response || file.error) return;
    const { key, receipt } = response.body ?? {};
    const uploadId = completions.get(key)?.uploadId ?? (receipt ? null : file.brokerUploadId);
    if (!uploadId) return;
    uppy.emit("postprocess-progress", file, { mode: "indeterminate", message: "Confirming" });
    try {
      const completed = completions.get(key);
      const track = completed?.receipt ? completed : await confirm(uploadId);
      uppy.setFileState(id, { response: { ...response, body: { ...response.body, ...track, uploadId } } });
      completions.delete(key);
    } catch (error) {
      uppy.emit("upload-error", uppy.getFile(id), error);
    }
    uppy.emit("postprocess-complete", uppy.getFile(id));
  };
  uppy.addPostProcessor((ids) => Promise.all(ids.map(finish)));

  if (/^(4\.|5\.0\.[01]$)/.test(uppy.constructor.VERSION) && !uppy.hasOwnProperty("restore")) {
    const restore = uppy.restore.bind(uppy);
    uppy.restore = async (id) => {
      const result = await restore(id);
      uppy.emit("complete", result); // Uppy does this itself since 5.0.2 (github.com/transloadit/uppy/issues/5929)
      return result;
    };
  }

  const plugin = {
    shouldUseMultipart: (file) => !hasChecksum(file), // the store checks the checksum of a whole file only
    getChunkSize: ({ size }) => partBytes(size),

    // Uppy 6
    generateObjectKey: (file) => file.id,
    async signRequest(request) {
      const { method, key, uploadId } = request;
      if (!uploadId) return method === "POST" ? create(uppy.getFile(key)) : sign(request, uppy.getFile(key));
      if (method === "POST") await complete({ key, uploadId }); // of a refusal Uppy would show the status only
      return sign(request);
    },

    // Uppy 4 and 5
    async getUploadParameters(file, more) {
      const { url, headers, key } = await sign({ method: "PUT" }, file, more?.signal);
      return { method: "PUT", url, headers, fields: { key } };
    },
    async createMultipartUpload(file) {
      const { uploadId, key } = await create(file);
      return { uploadId, key };
    },
    signPart: (_file, { signal, ...upload }) => sign({ ...upload, method: "PUT" }, null, signal),
    listParts: (_file, { uploadId, key, signal }) => calls.send("GET", route(uploadId, key), signal),
    completeMultipartUpload: (_file, { uploadId, key, signal }) => complete({ uploadId, key }, signal),
    abortMultipartUpload: (_file, { signal, ...upload }) => abort(upload, signal),
  };
  return plugin;
}
