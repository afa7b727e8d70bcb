import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createTokenIssuer, createTokenVerifier } from '@carillon/access';
import { CarillonError, type ChannelItem } from '@carillon/contracts';
import { createGateway, type Gateway, type Listener, listen } from '@carillon/gateway';
import { createMemoryInbox } from '@carillon/inbox';
import { noLog, noMetrics } from '@carillon/service';
import type { TestPage } from '@carillon/testkit';

const jwtSecret = 'the secret of these tests';
const { issue } = createTokenIssuer({ jwtSecret });
const { verify } = createTokenVerifier({ jwtSecret });

/** A policy under which only what the package ships may run and be shown. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src *";
const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };

export const tokenFor = async (userId: string) => (await issue(userId, 600)).token;

/** A gateway on a free port, over inboxes in memory. */
export async function startService() {
  const memory = createMemoryInbox({ maxItems: 500, retention: 86_400_000 });
  let isRefusing = false;
  const unlessRefusing = <A extends unknown[], R>(act: (...args: A) => Promise<R>) => {
    return async (...args: A) => {
      if (isRefusing) throw new CarillonError('REDIS_UNAVAILABLE');
      return act(...args);
    };
  };
  const inbox = { ...memory, mark: unlessRefusing(memory.mark), remove: unlessRefusing(memory.remove) };
  let sockets = 0;
  const metrics = { ...noMetrics, connectionOpened: () => void sockets++, connectionClosed: () => void sockets-- };
  const start = async (port: number): Promise<{ gateway: Gateway; listener: Listener }> => {
    const gateway = createGateway({
      inbox,
      verify,
      revocations: { since: async (userIds) => userIds.map(() => 0) },
      audit: { note: () => undefined },
      markAsRead: unlessRefusing(inbox.markAsRead),
      markAllAsRead: unlessRefusing(inbox.markAllAsRead),
      seats: { take: async () => true, giveBack() {} },
      log: noLog,
      metrics,
    });
    return { gateway, listener: await listen(gateway, { port, host: '127.0.0.1' }) };
  };
  let running: { gateway: Gateway; listener: Listener } | undefined = await start(0);
  const { port } = running.listener;
  let clock = Date.now() - 10_000;

  const stop = async () => {
    await running?.listener.close();
    await running?.gateway.close({ deadlineMs: 100 });
    running = undefined;
  };
  return {
    url: `ws://127.0.0.1:${port}`,
    inbox: memory,
    /** Sockets that are open. */
    sockets: () => sockets,
    /** From now on marks are refused, or no more. */
    refuse(to: boolean) {
      isRefusing = to;
    },
    /** Puts notifications into a user's inbox, the last one newest, and gives their ids. */
    async append(userId: string, titles: readonly string[], more: Partial<ChannelItem> = {}): Promise<string[]> {
      const items = titles.map((title) => itemOf(userId, title, ++clock, more));
      await memory.append(items);
      return items.map(({ id }) => id);
    },
    stop,
    async restart() {
      await stop();
      running = await start(port);
    },
  };
}
export type Service = Awaited<ReturnType<typeof startService>>;

function itemOf(userId: string, title: string, createdAt: number, more: Partial<ChannelItem>): ChannelItem {
  const content = { title, body: `What is to be said of ${title}` };
  return { id: randomUUID(), userId, templateId: 't', priority: 'normal', channels: ['in_app'], createdAt, content, data: {}, ...more };
}

/** The page of `fixture`, built with one of two Reacts and served, beside a stand-in for the route of preferences. */
export async function startPages(react: 'react' | 'react-18') {
  const folder = await mkdtemp(join(tmpdir(), 'carillon-react-'));
  await promisify(execFile)(process.execPath, [fileURLToPath(new URL('fixture/build.mjs', import.meta.url)), react, folder], {
    env: { PATH: process.env.PATH, NODE_ENV: 'development' },
  });
  const wishes = createWishes();
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    if (pathname === '/v1/me/preferences') return void wishes.answer(request, response);
    void readFile(join(folder, pathname === '/' ? 'index.html' : pathname)).then(
      (body) => {
        const type = TYPES[extname(pathname)] ?? 'text/html';
        response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY }).end(body);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    wishes,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}

/** One user's preferences, as the HTTP interface would keep them. */
function createWishes() {
  let kept: unknown = {};
  let isRefusing = false;
  return {
    kept: () => kept,
    forget() {
      kept = {};
    },
    refuse(to: boolean) {
      isRefusing = to;
    },
    async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
      const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
      const isKnown = await verify(token).then(
        () => true,
        () => false,
      );
      let body = '';
      for await (const part of request.setEncoding('utf8')) body += part;
      const code = !isKnown ? 'TOKEN_INVALID' : isRefusing ? 'REDIS_UNAVAILABLE' : undefined;
      if (!code && request.method === 'PUT') kept = JSON.parse(body);
      const headers = { 'content-type': code ? 'application/problem+json' : 'application/json' };
      response.writeHead(code ? 503 : 200, headers).end(JSON.stringify(code ? { code } : kept));
    },
  };
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core finds wrong with a page, by rule and element. */
export async function violationsOf(page: TestPage): Promise<string[]> {
  await page.evaluate(`${axe}; undefined`);
  const { violations } = (await page.evaluate('axe.run()')) as {
    violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}
