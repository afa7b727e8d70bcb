import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { hear, isLoaded, newUser, start, tokenFor } from '../test/harness.js';
import * as client from './index.js';

test('the example of the README runs', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  const server = await start();
  const userId = newUser();
  await server.append(userId, 2);
  const body = example.replace(/^import .*$/m, '').replace("'wss://notify.clinic.example/socket'", 'url');
  const page = { title: '' };
  const logged: unknown[] = [];
  let made: client.Client | undefined;
  const createClient = (options: client.ClientOptions) => {
    made = client.createClient(options);
    return made;
  };
  const fetch = async () => ({ json: async () => ({ token: await tokenFor(userId), expiresAt: Date.now() + 600_000 }) });
  const console = { log: (...what: unknown[]) => logged.push(what) };
  const names = { createClient, url: server.url, fetch, document: page, console };
  try {
    await new Function(...Object.keys(names), `return (async () => {${body}})()`)(...Object.values(names));
    const running = made as unknown as client.Client;
    const heard = hear(running);
    await isLoaded(running);
    const [id] = await server.append(userId);
    await server.isEqual(running, userId);
    expect(page.title).toBe('(1) Clinic');
    expect(heard.notification.map((one) => one.id)).toEqual([id]);
    expect(logged).toContainEqual(['new', id]);
  } finally {
    made?.close();
    await server.stop();
  }
});
