// A generated TypeScript client (openapi-generator: typescript-fetch) uploads.

import { Configuration, ResponseError, UploadsApi, type Problem } from "./fetch";
import { broker, pause, put, song, stems, token } from "./steps";

async function main() {
  // begin
  const uploads = new UploadsApi(new Configuration({ basePath: broker, accessToken: token }));
  const file = { filename: "song.mp3", contentType: "audio/mpeg", size: song.length };
  const upload = await uploads.createUpload({ newUpload: file });
  await put(upload.url!, upload.headers!, song);
  const track = await uploads.confirmUpload({ uploadId: upload.uploadId });
  // end
  console.log("put", track.key);

  const large = { filename: "stems.wav", contentType: "audio/wav", size: stems.length, multipart: true };
  const parts = await uploads.createUpload({ newUpload: large });
  const range = { from: 1, to: parts.partCount };
  for (const part of (await uploads.signParts({ uploadId: parts.uploadId, signParts: range })).parts) {
    const start = (part.partNumber - 1) * parts.partSize!;
    await put(part.url, part.headers, stems.subarray(start, start + part.size));
  }
  let promoting = 0;
  let whole = await uploads.confirmUpload({ uploadId: parts.uploadId });
  for (; whole.status === "promoting"; promoting++) {
    await pause();
    whole = await uploads.confirmUpload({ uploadId: parts.uploadId });
  }
  console.log("parts", whole.key, promoting > 0);

  try {
    await uploads.createUpload({ newUpload: { filename: "a.html", contentType: "text/html", size: 1 } });
  } catch (error) {
    const problem = (await (error as ResponseError).response.json()) as Problem;
    console.log("problem", problem.status, problem.code, problem.errors![0]!.pointer);
  }

  const batch = (await uploads.createUploads({ newUploads: { files: [file, file] } })).uploads;
  await put(batch[0]!.url!, batch[0]!.headers!, song);
  const uploadIds = batch.map((each) => each.uploadId);
  const { results } = await uploads.confirmUploads({ uploadIds: { uploadIds } });
  console.log("batch", results[0]!.status, results[1]!.status, results[1]!.problem!.code);

  const huge = await uploads.createUpload({ newUpload: { ...large, size: 5_000_000_000 } });
  console.log("huge", huge.size, huge.partCount);
  await uploads.abortUpload({ uploadId: huge.uploadId });
}

void main();
