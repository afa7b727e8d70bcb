import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const folder = fileURLToPath(new URL('..', import.meta.url));

test('a server draws the bell, and connects to nothing', async () => {
  const program = `
    import { createElement } from 'react';
    import { renderToString } from 'react-dom/server';
    import { CarillonProvider, Inbox } from '@carillon/react';
    globalThis.WebSocket = class { constructor() { throw new Error('it connects') } };
    const options = { url: 'ws://127.0.0.1:1', token: 'a token' };
    console.log(renderToString(createElement(CarillonProvider, { options }, createElement(Inbox, { locale: 'de' }))));`;
  // A package may import itself by its name.
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    cwd: folder,
    env: { PATH: process.env.PATH },
  });
  expect(stderr).toBe('');
  expect(stdout).toContain('aria-label="Notifications"');
  expect(stdout).not.toContain('role="dialog"');
});

test('what is built says that it belongs into browsers, for frameworks that ask', async () => {
  expect(await readFile(`${folder}/dist/index.js`, 'utf8')).toMatch(/^'use client';\n/);
});
