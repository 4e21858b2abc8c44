// A product's use of the browser client. It is compiled, never run.

import { createQueue, discard, getLimits, unfinished, upload, UploadError, version } from "./broker-upload.js";
import type {
  Item, Limits, Phase, Progress, Queue, QueueOptions, Retry, StoredPart, Total, TrackReady, Unfinished, Upload, UploadOptions,
} from "./broker-upload.js";

console.log(version.split("."));

const broker = "https://broker.example";
const getToken: UploadOptions["getToken"] = async ({ refresh }) => (refresh ? "a new token" : "a token");

/** An async function can return the handle. */
export async function begin(file: File, signal: AbortSignal): Promise<Upload> {
  const run: Upload = upload(file, {
    broker, getToken, signal, checksum: true, multipart: undefined, maxConcurrency: 2, maxAttempts: 3, namespace: "user-1",
    storage: sessionStorage,
  });
  const stop: () => void = run.on("progress", ({ phase, loadedBytes, storedBytes, totalBytes, secondsLeft }: Progress) => {
    const named: Phase = phase;
    console.log(named, (loadedBytes - storedBytes) / totalBytes, secondsLeft?.toFixed(0));
  });
  run.on("part", ({ partNumber, partCount, sizeBytes }: StoredPart) => console.log(partNumber / partCount, sizeBytes));
  run.on("retry", ({ attempt, maxAttempts, reason, nextAttemptAtMs }: Retry) =>
    console.log(attempt / maxAttempts, reason.code, new Date(nextAttemptAtMs)));
  run.on("error", (error) => console.log(error.code));
  run.on("done", ({ key }) => console.log(key));
  run.pause();
  run.resume();
  stop();
  return run;
}

export async function send(file: File, signal: AbortSignal): Promise<TrackReady | null> {
  try {
    const run = await begin(file, signal);
    const { key, sha256, url }: TrackReady = await run.done;
    console.log(key.length, sha256 ?? "", url ?? "", run.progress.phase);
    return await run.done;
  } catch (error) {
    if (error instanceof UploadError && error.retryable) console.log(error.code, error.errors?.[0]?.pointer);
    return null;
  }
}

export async function sendAll(files: FileList, options: QueueOptions): Promise<string[]> {
  const queue: Queue = createQueue({ ...options, concurrency: 3 });
  queue.on("progress", ({ loadedBytes, totalBytes, readyCount, failedCount }: Total, item: Item | null) =>
    console.log(loadedBytes / totalBytes, readyCount, failedCount, item?.filename));
  queue.on("error", (error, item) => console.log(error.code, item?.id));
  const [first] = queue.add(files);
  queue.add([new Blob(["a"])], { filename: "a.txt", contentType: "text/plain" });
  first?.pause();
  first?.resume();
  first?.retry();
  first?.remove();
  queue.pause();
  queue.resume();
  queue.retry();
  const items: readonly Item[] = await queue.done;
  queue.cancel();
  return items.map(({ track, error }) => track?.key ?? error?.code ?? "");
}

export async function limits(): Promise<string> {
  const { maxBytes, multipartThresholdBytes, types }: Limits = await getLimits({ broker });
  return `${maxBytes ?? "?"} ${multipartThresholdBytes ?? "?"} ${types?.join() ?? "?"}`;
}

export async function tidy(): Promise<void> {
  const all: Unfinished[] = unfinished({ broker, namespace: "user-1" });
  for (const known of all) await discard(known, { broker, namespace: "user-1", getToken });
}

// @ts-expect-error: an upload needs a token
upload(new File([], "a.mp3"), { broker });
// @ts-expect-error: an upload needs a File or a Blob
upload("a.mp3", { broker, getToken });
// @ts-expect-error: the handle is not a promise
upload(new File([], "a.mp3"), { broker, getToken }).then(() => null);
// @ts-expect-error: a queue has no filename for all its files
createQueue({ broker, getToken, filename: "a.mp3" });
