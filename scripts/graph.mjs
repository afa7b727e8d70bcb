// The one check of the import graph: prints each breach of the rules below with file and line, and fails if there is one.
// Usage: node scripts/graph.mjs [folder of the repository]
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Who owns a third-party library. A pattern ending in `*` stands for all that begins so. Libraries not named here belong to nobody. */
const OWNERS = {
  ioredis: ['packages/redis'],
  bullmq: ['packages/queue'],
  mustache: ['packages/templates'],
  jose: ['packages/access'],
  pino: ['packages/service'],
  'prom-client': ['packages/service'],
  ws: ['apps/gateway'],
  'fastify*': ['apps/api'],
  '@fastify/*': ['apps/api'],
  '@bull-board/*': ['apps/api'],
  'rate-limiter-flexible': ['packages/access'],
  'proxy-addr': ['apps/gateway'],
  '@scalar/*': ['apps/api'],
  'react*': ['packages/react', 'apps/page'],
  vite: ['apps/page'],
  uuid: ['packages/producer'],
  'libphonenumber-js': ['packages/redaction'],
  validator: ['packages/redaction'],
  'lru-cache': ['packages/templates', 'packages/access', 'packages/vault'],
  'p-limit': ['packages/channel'],
  '@sendgrid/*': ['apps/email'],
  nodemailer: ['apps/email'],
  'firebase-admin': ['apps/push'],
  'web-push': ['apps/push'],
  twilio: ['apps/sms'],
};
/** Anybody's. */
const FREE = ['zod'];
/** Packages whose job it is to touch everything. */
const EXEMPT = ['packages/testkit', 'apps/bench'];
/** Apps that are bundled: what they declare for development is built into them. */
const BUNDLED = ['apps/page'];
/** The one app that may import apps. */
const COMPOSER = 'apps/standalone';
/** Who may read the environment (besides tests). */
const READS_ENVIRONMENT = ['packages/service', 'packages/testkit', 'packages/embedded', 'apps/bench'];

const root = resolve(process.argv[2] ?? fileURLToPath(new URL('..', import.meta.url)));
const breaches = [];
const breach = (file, line, message) => breaches.push(`${relative(root, file)}:${line} ${message}`);

const packages = readPackages();
const byName = new Map(packages.map((pack) => [pack.name, pack]));
const rootDevelopment = Object.keys(readJson(join(root, 'package.json')).devDependencies ?? {});

for (const pack of packages) for (const file of pack.files) checkFile(pack, file);
for (const file of sourcesIn(join(root, 'test'))) checkFile(undefined, { ...readSource(file), isTest: true });
for (const pack of packages) findFileCycles(pack);
findPackageCycles();

for (const line of breaches.sort()) process.stdout.write(`${line}\n`);
process.exit(breaches.length === 0 ? 0 : 1);

function readPackages() {
  return ['packages', 'apps'].flatMap((folder) => {
    if (!existsSync(join(root, folder))) return [];
    return readdirSync(join(root, folder))
      .filter((name) => existsSync(join(root, folder, name, 'package.json')))
      .map((name) => {
        const dir = join(root, folder, name);
        const manifest = readJson(join(dir, 'package.json'));
        const { dependencies, peerDependencies, optionalDependencies, devDependencies } = manifest;
        const files = ['src', 'test']
          .flatMap((part) => sourcesIn(join(dir, part)))
          .map((file) => {
            return { ...readSource(file), isTest: file.endsWith('.test.ts') || file.startsWith(join(dir, 'test')) };
          });
        return {
          id: `${folder}/${name}`,
          name: manifest.name,
          isApp: folder === 'apps',
          dir,
          exports: Object.keys(manifest.exports ?? {}),
          runtime: Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies }),
          development: Object.keys(devDependencies ?? {}),
          files,
        };
      });
  });
}

/** A file's imports, and where it reads the environment, each with its line. */
function readSource(path) {
  const text = readFileSync(path, 'utf8');
  // Comments become blanks, lines stay; strings are matched first, so that `//` inside them is none.
  const code = text.replace(/("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (all, string) => {
    return string ?? all.replace(/[^\n]/g, ' ');
  });
  const lineAt = (index) => code.slice(0, index).split('\n').length;
  const statement = /(?:^|[;}\n])[ \t]*(?:import|export)\b(?:[\w\s{},*$]*?\bfrom)?\s*['"]([^'"\n]+)['"]/g;
  const call = /\b(?:import|require|require\.resolve|import\.meta\.resolve)\(\s*['"]([^'"\n]+)['"]/g;
  const imports = [statement, call].flatMap((pattern) =>
    [...code.matchAll(pattern)].map((match) => ({ specifier: match[1], line: lineAt(match.index + match[0].length) })),
  );
  const environment = [
    ...code.matchAll(
      /\bprocess\s*\.\s*env\b|\bprocess\[['"]env|\benv\b[^=;\n]*\}\s*=\s*process\b|import\s*\{[^}]*\benv\b[^}]*\}\s*from\s*['"](?:node:)?process['"]/g,
    ),
  ].map((match) => lineAt(match.index));
  return { path, imports, environment };
}

function checkFile(pack, file) {
  const mayReadEnvironment = file.isTest || READS_ENVIRONMENT.includes(pack.id);
  if (!mayReadEnvironment) for (const line of file.environment) breach(file.path, line, 'reads process.env, which is the configuration’s');
  for (const { specifier, line } of file.imports) {
    const say = (message) => breach(file.path, line, `${specifier}: ${message}`);
    if (specifier.startsWith('.')) checkRelative(pack, file, specifier, say);
    else if (!specifier.startsWith('node:') && !builtinModules.includes(specifier)) checkPackageImport(pack, file, specifier, say);
  }
}

function checkRelative(pack, file, specifier, say) {
  const target = resolve(dirname(file.path), specifier);
  if (pack !== undefined && !target.startsWith(`${pack.dir}/`)) say('leaves the package');
}

function checkPackageImport(pack, file, specifier, say) {
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  const exempt = file.isTest || EXEMPT.includes(pack?.id);
  const target = byName.get(name);
  if (target !== undefined) {
    const entry = `.${specifier.slice(name.length)}`;
    if (!target.exports.includes(entry)) say('deep import');
    if (target.isApp && target !== pack && pack?.id !== COMPOSER && !exempt) say('only apps/standalone imports an app');
  } else if (name.startsWith('@carillon/')) say('no such package');
  else if (!exempt) checkOwner(pack, name, say);
  if (pack !== undefined && !isDeclared(pack, file, name, target)) say('not declared in package.json');
}

function checkOwner(pack, name, say) {
  if (FREE.includes(name)) return;
  for (const [pattern, owners] of Object.entries(OWNERS)) {
    const fits = pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
    if (fits && !owners.includes(pack.id)) say(`belongs to ${owners.join(' and ')}`);
  }
}

function isDeclared(pack, file, name, target) {
  if (pack.runtime.includes(name)) return true;
  if (BUNDLED.includes(pack.id) && pack.development.includes(name)) return true;
  // Jest maps our own packages to their sources, for every test.
  return file.isTest && (target !== undefined || pack.development.includes(name) || rootDevelopment.includes(name));
}

function findFileCycles(pack) {
  const byPath = new Map(pack.files.map((file) => [file.path, file]));
  const edges = (path) =>
    (byPath.get(path)?.imports ?? [])
      .filter(({ specifier }) => specifier.startsWith('.'))
      // A `.js` may stand for a `.tsx` as well.
      .map(({ specifier, line }) => {
        const to = resolve(dirname(path), specifier).replace(/\.js$/, '.ts');
        return { to: byPath.has(to) ? to : `${to}x`, line };
      })
      .filter(({ to }) => byPath.has(to));
  findCycles([...byPath.keys()], edges, (cycle, line) => {
    breach(cycle[0], line, `import cycle: ${cycle.map((path) => relative(pack.dir, path)).join(' → ')}`);
  });
}

function findPackageCycles() {
  const edges = (name) => (byName.get(name)?.runtime ?? []).filter((to) => byName.has(to)).map((to) => ({ to, line: 1 }));
  findCycles([...byName.keys()], edges, (cycle, line) => {
    breach(join(byName.get(cycle[0]).dir, 'package.json'), line, `package cycle: ${cycle.join(' → ')}`);
  });
}

/** Calls `found` once for each edge that closes a cycle, in a walk along all edges. */
function findCycles(nodes, edges, found) {
  const done = new Set();
  const path = [];
  const visit = (node) => {
    if (done.has(node)) return;
    path.push(node);
    for (const { to, line } of edges(node)) {
      const at = path.indexOf(to);
      // The breach stands where the closing import is.
      if (at >= 0) found([node, ...path.slice(at)], line);
      else visit(to);
    }
    path.pop();
    done.add(node);
  };
  for (const node of nodes) visit(node);
}

function sourcesIn(dir) {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return sourcesIn(path);
    return /\.[mc]?[tj]sx?$/.test(entry.name) && !entry.name.endsWith('.d.ts') ? [path] : [];
  });
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}
