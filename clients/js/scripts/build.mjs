// Builds dist/: one ES module and its types. Fails when the module is larger than it may be.
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const LIMIT_BYTES = 10_000; // gzipped
const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

rmSync(at("dist"), { recursive: true, force: true });
await build({
  entryPoints: [at("src/index.ts")],
  outfile: at("dist/index.js"),
  bundle: true,
  minify: true,
  keepNames: true, // errors are printed with the name of their class
  lineLimit: 160,
  format: "esm",
  target: "es2022",
  sourcemap: true,
  legalComments: "none",
});

// Minifying drops the words that keep bundlers from following an import that only Node takes.
const built = readFileSync(at("dist/index.js"), "utf8");
const imports = built.split("import(");
if (imports.length !== 2) throw new Error(`${imports.length - 1} dynamic imports, not one`);
writeFileSync(at("dist/index.js"), imports.join("import(/* webpackIgnore: true */ /* @vite-ignore */ "));

execFileSync(process.execPath, [at("node_modules/typescript/bin/tsc"), "-p", at("tsconfig.build.json")], {
  stdio: "inherit",
});

const size = gzipSync(readFileSync(at("dist/index.js")), { level: 9 }).length;
console.log(`dist/index.js: ${size} bytes gzipped of at most ${LIMIT_BYTES}`);
if (size > LIMIT_BYTES) process.exit(1);
