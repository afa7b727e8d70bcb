import { readFileSync } from 'node:fs';
import { type Template, templateSchema } from '@carillon/contracts';
import { expect, test } from '@jest/globals';
import { compile } from './compile.js';

test('the README’s template is refused as it says, and registered with what it adds', () => {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  const [, section = ''] = /## What must not be read by others\n(.*?)\n## /s.exec(readme) ?? [];
  const [template, refusal, remedy] = [...section.matchAll(/```json\n(.*?)```/gs)].map(([, json]) => JSON.parse(json as string));
  const read = (given: object) => templateSchema.parse({ id: 'results', ...given }) as Template;
  const { code, field, detail } = refusal;
  expect(compile(read(template)).refuseLeaks).toThrow(expect.objectContaining({ code, field, message: detail }));
  compile(read({ ...template, ...remedy })).refuseLeaks();
});
