// Bundle src/ into the module that the broker serves, and into the package with a source map.
// With --check, fail if the served module is not up to date.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { minify } from "terser";

const HERE = dirname(fileURLToPath(import.meta.url));
const NAME = "broker-upload.js";
const STATIC = join(HERE, "../broker/web/static");
const DIST = join(HERE, "dist");
const { version } = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));

/** Names of members that only src/ uses. The minifier shortens them, as it shortens #private ones. */
const INTERNAL = `api bytesPerMs enter fill forget hasTurn isClosed isHeld isOver isShared isWaiting isWanted keyOf limit
  limits memory partBytes recall release sending sign sleep stored take throwIfCancelled untilOpen wait`.split(/\s+/);

const bundle = await build({
  entryPoints: [join(HERE, "src/index.js")],
  outfile: join(DIST, NAME),
  absWorkingDir: HERE,
  bundle: true,
  minify: true,
  mangleProps: new RegExp(`^(${INTERNAL.join("|")})$`),
  format: "esm",
  target: "safari15",
  sourcemap: "external",
  write: false,
});
const [map, module] = bundle.outputFiles;

const { code, map: shorterMap } = await minify({ [NAME]: module.text }, {
  module: true,
  ecma: 2020,
  safari10: false,
  compress: { passes: 3 },
  format: { preamble: `// Built from client/src.\nexport const version = "${version}";` },
  sourceMap: { content: map.text, filename: NAME },
});

const isServed = readFileSync(join(STATIC, NAME), "utf8") === `${code}\n`;
if (process.argv.includes("--check")) {
  if (!isServed) {
    console.error(`broker/web/static/${NAME} is not up to date: run make client`);
    process.exitCode = 1;
  }
} else {
  mkdirSync(DIST, { recursive: true });
  if (!isServed) writeFileSync(join(STATIC, NAME), `${code}\n`); // the broker does not serve the map
  writeFileSync(join(DIST, NAME), `${code}\n//# sourceMappingURL=${NAME}.map\n`);
  writeFileSync(join(DIST, `${NAME}.map`), String(shorterMap));
  copyFileSync(join(STATIC, "broker-upload.d.ts"), join(DIST, "broker-upload.d.ts"));
}
