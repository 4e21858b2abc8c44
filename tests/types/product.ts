// A product's use of the browser client. It is compiled, never run.

import { discard, unfinished, upload, UploadError, version } from "./broker-upload.js";
import type { Options, Phase, Progress, TrackReady, Upload } from "./broker-upload.js";

console.log(version.split("."));

const broker = "https://broker.example";
const getToken: Options["getToken"] = async ({ refresh }) => (refresh ? "a new token" : "a token");

export async function send(file: File, signal: AbortSignal): Promise<TrackReady | null> {
  const run: Upload = upload(file, {
    broker, getToken, signal, checksum: true, multipart: undefined, maxConcurrency: 2, storage: sessionStorage,
    onProgress: ({ phase, loaded, total, secondsLeft }: Progress) => {
      const named: Phase = phase;
      console.log(named, loaded / total, secondsLeft?.toFixed(0));
    },
  });
  run.pause();
  run.resume();
  try {
    const { key, sha256, url }: TrackReady = await run;
    console.log(key.length, sha256 ?? "", url ?? "");
    return await run;
  } catch (error) {
    if (error instanceof UploadError && error.retryable) console.log(error.code, error.errors?.[0]?.pointer);
    return null;
  }
}

export async function tidy(): Promise<void> {
  for (const known of unfinished({ broker })) await discard(known, { broker, getToken });
}

// @ts-expect-error: an upload needs a token
upload(new File([], "a.mp3"), { broker });
// @ts-expect-error: an upload needs a File
upload("a.mp3", { broker, getToken });
