// Bundle src/ into the modules that the broker serves, and into the package with source maps.
// With --check, fail if a served module is not up to date.

import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { minify } from "terser";

const HERE = dirname(fileURLToPath(import.meta.url));
const STATIC = join(HERE, "../broker/web/static");
const DIST = join(HERE, "dist");
const { version } = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));

/** Names of members that only src/ uses. The minifier shortens them, as it shortens #private ones. */
const INTERNAL = `api bytesPerMs emit enter failed fill forget hasTurn isActive isClosed isHeld isOver isShared isWaiting
  isWanted keep keyOf limit limits memory numbers partBytes recall release sending sign sleep stored take
  throwIfCancelled untilOpen wait`.split(/\s+/);

const isCheck = process.argv.includes("--check");
mkdirSync(DIST, { recursive: true });
await make("broker-upload.js", "src/index.js", { mangleProps: new RegExp(`^(${INTERNAL.join("|")})$`) });
await make("broker-uppy.js", "src/uppy/index.js", {}); // it calls members of Uppy with such names

async function make(name, entry, options) {
  const bundle = await build({
    entryPoints: [join(HERE, entry)],
    outfile: join(DIST, name),
    absWorkingDir: HERE,
    bundle: true,
    minify: true,
    ...options,
    format: "esm",
    target: "safari15",
    sourcemap: "external",
    write: false,
  });
  const [map, module] = bundle.outputFiles;

  const { code, map: shorterMap } = await minify({ [name]: module.text }, {
    module: true,
    ecma: 2020,
    safari10: false,
    compress: { passes: 3 },
    format: { preamble: `// Built from client/src.\nexport const version = "${version}";` },
    sourceMap: { content: map.text, filename: name },
  });

  const served = join(STATIC, name);
  const isServed = existsSync(served) && readFileSync(served, "utf8") === `${code}\n`;
  if (isCheck) {
    if (isServed) return;
    console.error(`broker/web/static/${name} is not up to date: run make client`);
    process.exitCode = 1;
    return;
  }
  if (!isServed) writeFileSync(served, `${code}\n`); // the broker does not serve the map
  writeFileSync(join(DIST, name), `${code}\n//# sourceMappingURL=${name}.map\n`);
  writeFileSync(join(DIST, `${name}.map`), String(shorterMap));
  const types = name.replace(/js$/, "d.ts");
  copyFileSync(join(STATIC, types), join(DIST, types));
}
