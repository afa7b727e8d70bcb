// Holds the sizes of what a browser loads: bundles each, minifies, compresses, prints a table, and fails above a limit. Needs the build.
// Usage: node scripts/sizes.mjs
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';

const root = fileURLToPath(new URL('..', import.meta.url));
const react = join(root, 'packages/react');
const { build } = await import(pathToFileURL(createRequire(join(react, 'package.json')).resolve('vite')).href);

/** Bytes, compressed: what a page pays for an inbox that misses nothing, and for one it need not draw itself. */
const LIMITS = {
  '@carillon/client': 5 * 1024,
  '@carillon/react with its styles': 12 * 1024,
  '@carillon/react, styles and client': 12 * 1024,
};

const client = await bundle('packages/client/dist/index.js', []);
const component = await bundle('packages/react/dist/index.js', ['@carillon/client']);
const both = await bundle('packages/react/dist/index.js', []);
const styles = await minifiedStyles();

const rows = [
  row('@carillon/client', [client]),
  row('@carillon/react', [component]),
  row('styles.css', [styles]),
  row('@carillon/react with its styles', [component, styles]),
  row('@carillon/react, styles and client', [both, styles]),
];
for (const line of [['bytes, React apart', 'minified', 'gzip -9', 'limit'], ...rows.map(cells)]) {
  process.stdout.write(
    `${line[0].padEnd(38)}${line
      .slice(1)
      .map((cell) => cell.padStart(10))
      .join('')}\n`,
  );
}
const over = rows.filter(({ compressed, limit }) => limit !== undefined && compressed > limit);
for (const { name, compressed, limit } of over) process.stdout.write(`${name} is ${compressed - limit} bytes too large\n`);
process.exit(over.length === 0 ? 0 : 1);

function row(name, files) {
  const sum = (bytes) => files.map(bytes).reduce((total, one) => total + one);
  const minified = sum((file) => Buffer.byteLength(file));
  const compressed = sum((file) => gzipSync(file, { level: 9 }).length);
  return { name, minified, compressed, limit: LIMITS[name] };
}

function cells({ name, minified, compressed, limit }) {
  return [name, ...[minified, compressed, limit].map((bytes) => bytes?.toLocaleString('en') ?? '')];
}

/** One file as a browser would load it, all exports kept, without React and what else is named. */
async function bundle(entry, without) {
  const input = join(root, entry);
  const output = await viteBuild({ input, external: [/^react($|\/|-dom)/, ...without], preserveEntrySignatures: 'strict' });
  return output.map((chunk) => chunk.code ?? '').join('');
}

async function minifiedStyles() {
  const output = await viteBuild({ input: join(react, 'styles.css') });
  return output.map((asset) => (asset.fileName.endsWith('.css') ? asset.source : '')).join('');
}

async function viteBuild(rolldownOptions) {
  const result = await build({
    root: react,
    configFile: false,
    logLevel: 'error',
    build: { write: false, target: 'es2022', modulePreload: false, rolldownOptions },
  });
  return (Array.isArray(result) ? result[0] : result).output;
}
