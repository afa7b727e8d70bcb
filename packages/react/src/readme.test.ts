import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

test('the example of the README is the one whose types are checked', () => {
  expect(read('../README.md')).toContain(`\`\`\`tsx\n${read('../test/fixture/example.tsx')}\`\`\``);
});
