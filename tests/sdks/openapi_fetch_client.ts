// A client from types (openapi-typescript with openapi-fetch) uploads, and a receipt is verified with jose.

import { createLocalJWKSet, jwtVerify } from "jose";
import createClient from "openapi-fetch";
import type { paths } from "./schema";
import { broker, pause, put, song, stems, token } from "./steps";

async function main() {
  // begin
  const client = createClient<paths>({ baseUrl: broker, headers: { Authorization: `Bearer ${token}` } });
  const file = { filename: "song.mp3", contentType: "audio/mpeg", size: song.length };
  const { data: upload } = await client.POST("/api/v1/uploads", { body: file });
  await put(upload!.url!, upload!.headers!, song);
  const { data: track } = await client.POST("/api/v1/uploads/{uploadId}/confirm", {
    params: { path: { uploadId: upload!.uploadId } },
  });
  // end
  console.log("put", track!.key);

  const large = { filename: "stems.wav", contentType: "audio/wav", size: stems.length, multipart: true };
  const { data: parts } = await client.POST("/api/v1/uploads", { body: large });
  const params = { path: { uploadId: parts!.uploadId } };
  const range = { from: 1, to: parts!.partCount };
  const { data: signed } = await client.POST("/api/v1/uploads/{uploadId}/parts", { params, body: range });
  for (const part of signed!.parts) {
    const start = (part.partNumber - 1) * parts!.partSize!;
    await put(part.url, part.headers, stems.subarray(start, start + part.size));
  }
  let promoting = 0;
  let { data: whole } = await client.POST("/api/v1/uploads/{uploadId}/confirm", { params });
  for (; whole!.status === "promoting"; promoting++) {
    await pause();
    ({ data: whole } = await client.POST("/api/v1/uploads/{uploadId}/confirm", { params }));
  }
  console.log("parts", whole!.key, promoting > 0);

  const bad = { filename: "a.html", contentType: "text/html", size: 1 };
  const { error: problem } = await client.POST("/api/v1/uploads", { body: bad });
  console.log("problem", problem!.status, problem!.code, problem!.errors![0]!.pointer);

  const { data: batch } = await client.POST("/api/v1/uploads/batch", { body: { files: [file, file] } });
  await put(batch!.uploads[0]!.url!, batch!.uploads[0]!.headers!, song);
  const uploadIds = batch!.uploads.map((each) => each.uploadId);
  const { data: confirmed } = await client.POST("/api/v1/uploads/confirm", { body: { uploadIds } });
  const [first, second] = confirmed!.results;
  console.log("batch", first!.status, second!.status, second!.problem!.code);

  const { data: huge } = await client.POST("/api/v1/uploads", { body: { ...large, size: 5_000_000_000 } });
  console.log("huge", huge!.size, huge!.partCount);
  await client.DELETE("/api/v1/uploads/{uploadId}", { params: { path: { uploadId: huge!.uploadId } } });

  const { data: jwks } = await client.GET("/.well-known/jwks.json");
  const verified = async (receipt: string) => {
    // receipt begin
    const keys = createLocalJWKSet(jwks!);
    const options = { algorithms: ["EdDSA"], typ: "track-ready+jwt", issuer: "r2-upload-broker" };
    const { payload } = await jwtVerify(receipt, keys, options); // compare payload.sub
    // receipt end
    return payload;
  };
  const claims = await verified(track!.receipt!);
  console.log("receipt", claims.sub, claims.key);
  await verified(track!.receipt!.replace(".", ".x")).catch(() => console.log("forged refused"));
}

void main();
