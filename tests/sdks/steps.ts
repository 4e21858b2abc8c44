// What the TypeScript clients share: the files, the PUT to the store, and a pause.

import { readFileSync } from "node:fs";

export const [song, stems] = process.argv.slice(2).map((name) => readFileSync(name)) as [Buffer, Buffer];
export const broker = process.env.BROKER!;
export const token = process.env.TOKEN!;

export async function put(url: string, headers: Record<string, string>, body: Buffer): Promise<void> {
  const { status } = await fetch(url, { method: "PUT", headers, body: new Uint8Array(body) });
  if (status !== 200 && status !== 412) throw new Error(`PUT: ${status}`); // 412: the bytes are already there
}

export const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1000));
