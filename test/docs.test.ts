import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { deliveryReasons, errorCatalogue } from '@carillon/contracts';
import { expect, test } from '@jest/globals';

const root = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

/** The page of errors, as the catalogue has it. */
function errorsPage(): string {
  const rows = Object.entries(errorCatalogue).map(([code, [verdict, sentence]]) => `| \`${code}\` | ${verdict} | ${sentence} |`);
  return [
    '# Errors',
    '',
    'Every error has a code that is stable for ever; messages are for people and may change. The verdict says what may be done: `retry` (may succeed',
    'unchanged), `retry-after` (may succeed, not before the `retryAfter` it carries, in ms), `never` (the same request fails again). Over HTTP an error is',
    'a problem detail (RFC 9457) with `code` and, where one is at fault, `field`; over WebSocket an `error` frame with `code`; in the library a',
    '`CarillonError`. In the failed set of a queue the code begins the reason.',
    '',
    '| code | verdict | meaning |',
    '| --- | --- | --- |',
    ...rows,
    '',
    '## Reasons',
    '',
    'Why a delivery was not sent, or not yet, where that is no error; `reason` of a delivery with the status `skipped` or `held`.',
    '',
    '| reason | meaning |',
    '| --- | --- |',
    ...Object.entries(deliveryReasons).map(([reason, sentence]) => `| \`${reason}\` | ${sentence} |`),
    '',
  ].join('\n');
}

test('docs/errors.md is the catalogue', () => {
  expect(read('docs/errors.md')).toBe(errorsPage());
});

test('the import table of docs/architecture.md is what the packages declare', () => {
  const declared = new Map<string, string[]>();
  for (const group of ['packages', 'apps']) {
    for (const folder of readdirSync(new URL(group, root))) {
      if (!existsSync(new URL(`${group}/${folder}/package.json`, root))) continue;
      const { dependencies = {} } = JSON.parse(read(`${group}/${folder}/package.json`)) as { dependencies?: Record<string, string> };
      const ours = Object.keys(dependencies).filter((name) => name.startsWith('@carillon/'));
      declared.set(`${group}/${folder}`, ours.map((name) => name.slice('@carillon/'.length)).sort());
    }
  }
  const documented = new Map<string, string[]>();
  for (const [, name, , imports] of read('docs/architecture.md').matchAll(/^\| `((?:packages|apps)\/[\w-]+)` \| (.*?) \| (.*?) \|$/gm)) {
    documented.set(name as string, imports === '—' ? [] : (imports as string).split(', ').sort());
  }
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(declared));
});

test('the root has at most a dozen scripts, and CONTRIBUTING names commands that exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  expect(Object.keys(scripts).length).toBeLessThanOrEqual(12);
  const named = [...`${read('CONTRIBUTING.md')}${read('README.md')}`.matchAll(/`?pnpm ([a-z:]+)/g)].map(([, script]) => script as string);
  for (const script of named) expect(Object.keys(scripts)).toContain(script);
});

test('every link between the documents leads somewhere', () => {
  const pages = readdirSync(new URL('docs', root)).filter((name) => name.endsWith('.md'));
  for (const page of ['README.md', 'CONTRIBUTING.md', ...pages.map((name) => `docs/${name}`)]) {
    for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      expect([page, target, existsSync(new URL(target as string, new URL(page, root)))]).toEqual([page, target, true]);
    }
  }
});

test('declared entry points are files that the build makes', () => {
  for (const group of ['packages', 'apps']) {
    for (const folder of readdirSync(new URL(group, root))) {
      const path = `${group}/${folder}/package.json`;
      if (!existsSync(new URL(path, root))) continue;
      const { exports = {} } = JSON.parse(read(path)) as { exports?: Record<string, string | { default: string }> };
      for (const entry of Object.values(exports)) {
        // A style sheet is there as it is.
        const source = typeof entry === 'string' ? entry : entry.default.replace(/^\.\/dist\/(.*)\.js$/, 'src/$1.ts');
        expect([path, source, existsSync(new URL(`${group}/${folder}/${source}`, root))]).toEqual([path, source, true]);
      }
    }
  }
});

test('every test that docs/security.md names is there', () => {
  const named = [...read('docs/security.md').matchAll(/`([\w./-]+\.test\.ts)`/g)].map(([, file]) => file as string);
  expect(named.length).toBeGreaterThan(10);
  for (const file of named) expect([file, existsSync(new URL(file, root))]).toEqual([file, true]);
});
