// Cloudflare's local R2 with one bucket. Says its URL on standard output, and ends when standard input does.
import { Miniflare } from "miniflare";

const [bucket, folder, accessKeyId, secretAccessKey] = process.argv.slice(2);
const server = new Miniflare({
  host: "127.0.0.1",
  port: 0,
  cf: false,
  modules: true,
  script: "export default { fetch() { return new Response('') } }",
  r2Persist: folder,
  r2Buckets: { MEDIA: { id: bucket, s3Credentials: { accessKeyId, secretAccessKey } } },
});
const url = await server.ready;
console.log(new URL("/cdn-cgi/local/r2/s3/", url).href);
process.stdin.resume().on("end", async () => {
  await server.dispose();
  process.exit();
});
