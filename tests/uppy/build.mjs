// Bundle the pages, and the snippets of the documentation, into the folder that is the first argument. The second one
// names a JSON file with the text and the folder of packages of each snippet.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const folder = process.argv[2];
const options = {
  bundle: true,
  format: "esm",
  target: "es2022",
  define: { "process.env.NODE_ENV": '"production"' },
};

await build({
  ...options,
  entryPoints: { uppy4: "v4/page.js", uppy5: "v5/page.js", uppy6: "v6/page.js", better: "better.js" },
  outdir: folder,
});
for (const [name, { contents, packages }] of Object.entries(JSON.parse(readFileSync(process.argv[3], "utf8")))) {
  await build({ ...options, stdin: { contents, resolveDir: packages }, outfile: join(folder, `${name}.js`) });
}
