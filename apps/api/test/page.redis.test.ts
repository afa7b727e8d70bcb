import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Api, createApi } from '../src/index.js';
import { AUTHORIZED, type RunningApi, startApi } from './running-api.js';

let running: RunningApi;
let folder: string;
let api: Api;
beforeAll(async () => {
  running = await startApi();
  folder = await mkdtemp(join(tmpdir(), 'carillon-page-'));
  await mkdir(join(folder, 'assets'));
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>Built</title>');
  await writeFile(join(folder, 'assets', 'index-abc.js'), 'export {};');
  await writeFile(join(folder, 'secret.txt'), 'secret');
  api = createApi({ ...running.parts, page: folder, socketUrl: () => 'wss://sockets.example:8443/live' }, { port: 0, host: '127.0.0.1' });
});
afterAll(async () => {
  await api?.close();
  await running?.close();
  await rm(folder, { recursive: true, force: true });
});

test('the page is for anybody, may ask here and the gateway, and runs nothing but its own files', async () => {
  const page = await api.inject({ method: 'GET', url: '/' });
  expect([page.statusCode, page.headers['content-type'], page.headers['cache-control']]).toEqual([
    200,
    'text/html; charset=utf-8',
    'no-store',
  ]);
  expect(page.body).toContain('<title>Built</title>');
  const policy = page.headers['content-security-policy'] as string;
  expect(policy).toContain("script-src 'self';");
  expect(policy).toContain("connect-src 'self' wss://sockets.example:8443;");
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toMatch(/unsafe|\*/);
});

test('what it loads may be kept for ever, and nothing else of the folder is there', async () => {
  const asset = await api.inject({ method: 'GET', url: '/assets/index-abc.js' });
  expect(asset.statusCode).toBe(200);
  expect(asset.headers['content-type']).toContain('javascript');
  expect(asset.headers['cache-control']).toBe('public, max-age=31536000, immutable');
  expect(asset.headers['x-content-type-options']).toBe('nosniff');
  const { port } = await api.listen();
  const beyond = await fetch(`http://127.0.0.1:${port}/assets/index-abc.js`, { headers: { range: 'bytes=999-' } });
  expect([beyond.status, (await beyond.json()).detail]).toEqual([416, 'Range Not Satisfiable']);
  for (const path of [
    '/assets/none.js',
    '/assets/',
    '/assets/../secret.txt',
    '/assets/%2e%2e/secret.txt',
    '/assets/..%2fsecret.txt',
    '/secret.txt',
    '/index.html',
  ]) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    expect([path, answer.status]).toEqual([path, 404]);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(await answer.json()).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
  }
});

test('every problem leads to where its code is explained', async () => {
  const { type, code } = (await api.inject({ method: 'GET', url: '/nowhere' })).json() as { type: string; code: string };
  const [path, place] = type.split('#');
  const page = await api.inject({ method: 'GET', url: path as string });
  expect(page.statusCode).toBe(200);
  expect(page.body).toContain(`<dt id="${place}"><code>${code}</code>`);
});

test('the description is for whoever has a key; a browser without one is sent to the form', async () => {
  const browser = { accept: 'text/html,*/*' };
  const away = await api.inject({ method: 'GET', url: '/docs', headers: browser });
  expect([away.statusCode, away.headers.location]).toEqual([303, '/admin/login?to=/docs']);
  expect((await api.inject({ method: 'GET', url: '/docs' })).json()).toMatchObject({ code: 'UNAUTHORIZED', status: 401 });
  expect((await api.inject({ method: 'GET', url: '/docs', headers: { ...browser, authorization: 'Bearer wrong' } })).statusCode).toBe(401);
  expect((await api.inject({ method: 'GET', url: '/docs/reference.js' })).statusCode).toBe(401);
  for (const headers of [AUTHORIZED, { authorization: 'Bearer send-key' }]) {
    const page = await api.inject({ method: 'GET', url: '/docs', headers: { ...headers, ...browser } });
    expect(page.statusCode).toBe(200);
    expect(page.body).toContain('src="/docs/reference.js"');
    expect(page.body).not.toMatch(/(src|href)="https?:/);
    expect(page.headers['content-security-policy']).toMatch(/script-src 'self' 'sha256-[\w+/]{43}='; /);
  }
  const script = await api.inject({ method: 'GET', url: '/docs/reference.js', headers: AUTHORIZED });
  expect(script.headers['content-type']).toContain('javascript');
  expect(script.body.length).toBeGreaterThan(1_000_000);
});
