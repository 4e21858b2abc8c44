// A generated TypeScript client (hey-api) uploads.

import { client } from "./hey/client.gen";
import { abortUpload, confirmUpload, confirmUploads, createUpload, createUploads, signParts } from "./hey";
import { broker, pause, put, song, stems, token } from "./steps";

async function main() {
  // begin
  client.setConfig({ baseUrl: broker, auth: token });
  const file = { filename: "song.mp3", contentType: "audio/mpeg", size: song.length };
  const { data: upload } = await createUpload({ body: file });
  await put(upload!.url!, upload!.headers!, song);
  const { data: track } = await confirmUpload({ path: { uploadId: upload!.uploadId } });
  // end
  console.log("put", track!.key);

  const large = { filename: "stems.wav", contentType: "audio/wav", size: stems.length, multipart: true };
  const { data: parts } = await createUpload({ body: large });
  const path = { uploadId: parts!.uploadId };
  const { data: signed } = await signParts({ path, body: { from: 1, to: parts!.partCount } });
  for (const part of signed!.parts) {
    const start = (part.partNumber - 1) * Number(parts!.partSize);
    await put(part.url, part.headers, stems.subarray(start, start + Number(part.size)));
  }
  let promoting = 0;
  let { data: whole } = await confirmUpload({ path });
  for (; whole!.status === "promoting"; promoting++) {
    await pause();
    ({ data: whole } = await confirmUpload({ path }));
  }
  console.log("parts", whole!.key, promoting > 0);

  const { error: problem } = await createUpload({ body: { filename: "a.html", contentType: "text/html", size: 1 } });
  console.log("problem", problem!.status, problem!.code, problem!.errors![0]!.pointer);

  const { data: batch } = await createUploads({ body: { files: [file, file] } });
  await put(batch!.uploads[0]!.url!, batch!.uploads[0]!.headers!, song);
  const uploadIds = batch!.uploads.map((each) => each.uploadId);
  const { data: confirmed } = await confirmUploads({ body: { uploadIds } });
  const [first, second] = confirmed!.results;
  console.log("batch", first!.status, second!.status, second!.problem!.code);

  const { data: huge } = await createUpload({ body: { ...large, size: 5_000_000_000 } });
  console.log("huge", Number(huge!.size), huge!.partCount);
  await abortUpload({ path: { uploadId: huge!.uploadId } });
}

void main();
