// Node's fetch: reads a plan from standard input, and writes one line for each upload (plan.py).
import { setTimeout as pause } from "node:timers/promises";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const plan = JSON.parse(Buffer.concat(chunks).toString());
const content = Buffer.from(plan.content, "hex");

async function post(session, path, body) {
  const response = await fetch(`${session.url}/api/v1${path}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${plan.token}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return [response.status, await response.json()];
}

async function upload(session) {
  const [created, upload] = await post(session, "/uploads", plan.file);
  if (created !== 201) throw new Error(`create ${created} ${JSON.stringify(upload)}`);
  const put = await fetch(upload.url, { method: "PUT", headers: upload.headers, body: content });
  if (put.status !== 200) throw new Error(`PUT ${put.status}`);
  await pause(session.pause * 1000);
  const [confirmed, object] = await post(session, `/uploads/${upload.uploadId}/confirm`, {});
  if (confirmed !== 200) throw new Error(`confirm ${confirmed} ${JSON.stringify(object)}`);
}

async function run(session) {
  for (let i = 0; i < session.uploads; i += 1) {
    let failure = "";
    try {
      await upload(session);
    } catch (error) {
      failure = `${error} ${error.cause ?? ""}`;
    }
    console.log(JSON.stringify({ route: session.route, pause: session.pause, failure }));
  }
}

await Promise.all(plan.sessions.map(run));
