import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const graph = fileURLToPath(new URL('./graph.mjs', import.meta.url));
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'carillon-graph-'));
  write('package.json', '{ "devDependencies": { "@jest/globals": "1" } }');
  pack('packages/one', [], { './testing': './x.js' });
  pack('packages/two', ['@carillon/one', '@carillon/app', 'bullmq']);
  pack('apps/app', []);
});
afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function pack(path: string, dependencies: string[], exports: Record<string, string> = {}): void {
  const name = `@carillon/${path.split('/')[1]}`;
  const manifest = {
    name,
    exports: { '.': './x.js', ...exports },
    dependencies: Object.fromEntries(dependencies.map((key) => [key, '*'])),
  };
  write(`${path}/package.json`, JSON.stringify(manifest));
}

/** The breaches found, one line each; none means the check passed. */
function check(): string[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, [graph, root], { encoding: 'utf8' });
  const lines = stdout.split('\n').filter(Boolean);
  expect({ stderr, status }).toEqual({ stderr: '', status: lines.length > 0 ? 1 : 0 });
  return lines;
}

test('a tree that keeps the rules passes', () => {
  write('packages/one/src/index.ts', `// import x from 'bullmq'\nexport { a } from './a.js';\nimport 'node:fs';`);
  write('packages/one/src/a.ts', `import { z } from './b.js';`);
  write('packages/two/src/index.ts', `import { x } from '@carillon/one/testing';\nimport type { y } from '@carillon/one';`);
  write('packages/two/src/x.test.ts', `import { test } from '@jest/globals';\nimport { a } from '@carillon/app';\nprocess.env.X = '1';`);
  expect(check()).toEqual([]);
});

test.each([
  ['a file cycle', 'packages/one/src/index.ts', `import './index.js';`, 'import cycle'],
  [
    'a deep import',
    'packages/two/src/index.ts',
    `\nimport {\n  x,\n} from '@carillon/one/src/x.js';`,
    'packages/two/src/index.ts:4 @carillon/one/src/x.js: deep import',
  ],
  ['an app imported', 'packages/two/src/index.ts', `export * from '@carillon/app';`, 'only apps/standalone'],
  ['a library away from its owner', 'packages/two/src/index.ts', `import { Queue } from 'bullmq';`, 'belongs to packages/queue'],
  ['a lazy import away from its owner', 'packages/two/src/index.ts', `const q = await import('bullmq');`, 'belongs to packages/queue'],
  ['an undeclared import', 'packages/one/src/index.ts', `import { z } from 'zod';`, 'not declared'],
  [
    'the environment read',
    'packages/one/src/index.ts',
    `const a = 1;\nconst b = process.env.B;`,
    'packages/one/src/index.ts:2 reads process.env',
  ],
  ['a way out of the package', 'packages/one/src/index.ts', `import { x } from '../../two/src/index.js';`, 'leaves the package'],
])('%s fails', (_what, path, text, expected) => {
  write(path, text);
  expect(check()).toEqual([expect.stringContaining(expected)]);
});

test('a cycle of packages fails', () => {
  pack('packages/one', ['@carillon/two']);
  expect(check()).toEqual([expect.stringContaining('package cycle')]);
});
