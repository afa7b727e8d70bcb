import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { CarillonError } from '@carillon/contracts';
import { freePort, isFree } from './port.js';
import { askRedis } from './resp.js';

/** Milliseconds a server has to read its data back and answer; a laptop's append-only file takes well under one second. */
const START_TIMEOUT = 60_000;
/** Milliseconds between two looks at a server that starts. */
const POLL = 15;
/** Ports to try before giving up. */
const PORT_ATTEMPTS = 5;
/** Milliseconds before a server that died is started again: at first, and at most when it keeps dying. */
const REVIVE_DELAY = [50, 5_000] as const;

/**
 * Runs `$1 $2` and ends it when its own standard input does, which the kernel sees to however the owner dies: SIGTERM, so that the
 * append-only file is whole, and SIGKILL after 5 s. It lives in a session of its own, so that Ctrl-C does not reach the server before
 * the owner has finished with it. The password stays in a file: arguments are for everybody to read.
 */
const SUPERVISOR = `umask 077
trap '' PIPE
exec 3<&0 </dev/null
"$1" "$2" >>redis.log 2>&1 3<&- &
pid=$!
echo "$pid"
exec >/dev/null 2>&1
( while read -r _ <&3; do :; done
  kill -TERM "$pid"; i=0
  while [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); kill -0 "$pid" || exit 0; done
  kill -KILL "$pid" ) &
watcher=$!
exec 3<&-
wait "$pid"
code=$?
kill "$watcher"
exit "$code"`;

/** How to run a server of one's own. */
export interface RedisServerOptions {
  /** Path of redis-server or valkey-server. */
  binary: string;
  /** Where its data is: made if missing, read if not. One server at a time. */
  dir: string;
  /** Preferred loopback port; another one is taken if it is in use. */
  port?: number;
  /** Random if absent. */
  password?: string;
  /** More lines of redis.conf, after ours. */
  config?: string[];
  /** Start it again on the same port, with the same password and data, whenever it dies before `stop`. */
  revive?: boolean;
  /** Told of every server process after the first one. */
  onRevived?: (pid: number) => void;
}

/** A server that dies with this process, whatever kills it. Made by startRedisServer; call `stop` when done. */
export interface RedisServer {
  /** `redis://:password@127.0.0.1:port` */
  readonly url: string;
  readonly port: number;
  readonly password: string;
  /** Process id of the server that runs now. */
  readonly pid: number;
  /** Ends it by SIGKILL and resolves when it is gone (without `revive`, for good until `restart`). */
  kill(): Promise<void>;
  /** Ends it cleanly; its data stays in `dir`. May be called twice. */
  stop(): Promise<void>;
  /** Stops it if it runs, starts it again on the same port, resolves when it answers. */
  restart(): Promise<void>;
}

/** One process of the server, under its supervisor. */
interface Run {
  pid: number;
  exited: Promise<void>;
  hasExited(): boolean;
  /** Lets a caller wait for `exited` even if nothing else keeps this process alive. */
  hold(): void;
  /** Asks the supervisor to end it, and holds. */
  end(): void;
}

/**
 * Starts a private, append-only server with policy `noeviction` on a loopback port and resolves when it answers PING.
 *
 * @throws CarillonError REDIS_UNAVAILABLE with the end of its log if it does not come up.
 */
export async function startRedisServer(options: RedisServerOptions): Promise<RedisServer> {
  const { binary, dir, revive = false, onRevived } = options;
  const password = options.password ?? randomBytes(24).toString('base64url');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const start = (port: number) => startOn({ binary, dir, port, password, config: options.config ?? [] });

  const { port, run: first } = await onSomePort(options.port, start);
  let current = first;
  let wanted = true;

  /** Keeps a server up while it is wanted; the delay grows while it dies young. */
  async function keepUp(): Promise<void> {
    let delay: number = REVIVE_DELAY[0];
    for (;;) {
      const since = Date.now();
      await current.exited;
      if (Date.now() - since > REVIVE_DELAY[1]) delay = REVIVE_DELAY[0];
      if (!wanted) return;
      await sleep(delay);
      delay = Math.min(delay * 2, REVIVE_DELAY[1]);
      if (!wanted) return;
      const revived = await start(port).catch(() => undefined);
      if (revived === undefined) continue;
      current = revived;
      if (wanted) onRevived?.(current.pid);
      else current.end();
    }
  }
  let keeper = revive ? keepUp() : undefined;

  async function stop(): Promise<void> {
    wanted = false;
    current.end();
    await current.exited;
    await keeper;
  }
  return {
    url: `redis://:${password}@127.0.0.1:${port}`,
    port,
    password,
    get pid() {
      return current.pid;
    },
    async kill() {
      const run = current;
      run.hold();
      if (!run.hasExited()) killIfThere(run.pid);
      await run.exited;
    },
    stop,
    async restart() {
      await stop();
      current = await start(port);
      wanted = true;
      if (revive) keeper = keepUp();
    },
  };
}

/** Starts on the preferred port or, when somebody else has it, on another. */
async function onSomePort(preferred: number | undefined, start: (port: number) => Promise<Run>): Promise<{ port: number; run: Run }> {
  let port = preferred !== undefined && (await isFree(preferred)) ? preferred : await freePort();
  for (let attempt = 1; ; attempt++) {
    try {
      return { port, run: await start(port) };
    } catch (error) {
      if (attempt === PORT_ATTEMPTS || (await isFree(port))) throw error;
      port = await freePort();
    }
  }
}

/** Starts one process on this port; resolves when it answers, or ends it and throws. */
async function startOn(at: { binary: string; dir: string; port: number; password: string; config: string[] }): Promise<Run> {
  const lines = [
    'bind 127.0.0.1',
    `port ${at.port}`,
    `requirepass ${at.password}`,
    'appendonly yes',
    'save ""',
    'maxmemory-policy noeviction',
    'daemonize no',
    ...at.config,
  ];
  rmSync(join(at.dir, 'redis.log'), { force: true });
  rmSync(join(at.dir, 'redis.conf'), { force: true });
  writeFileSync(join(at.dir, 'redis.conf'), `${lines.join('\n')}\n`, { mode: 0o600 });
  const run = await launch(at.binary, at.dir);
  const deadline = Date.now() + START_TIMEOUT;
  while (!run.hasExited() && Date.now() < deadline) {
    // Also refused while it reads its data back: it is up when it answers.
    if (await askRedis(at, 'PING').catch(() => undefined)) return run;
    await sleep(POLL);
  }
  run.end();
  await run.exited;
  throw new CarillonError('REDIS_UNAVAILABLE', { message: `${at.binary} did not start: ${endOfLog(at.dir)}` });
}

async function launch(binary: string, dir: string): Promise<Run> {
  const supervisor = spawn('/bin/sh', ['-c', SUPERVISOR, 'carillon-redis', binary, 'redis.conf'], {
    cwd: dir,
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let gone = false;
  let pid = 0;
  const exited = new Promise<void>((resolve) => {
    const end = (_code: unknown, signal?: unknown) => {
      // A supervisor that was itself killed leaves the server behind.
      if (signal && pid > 0) killIfThere(pid);
      gone = true;
      resolve();
    };
    supervisor.once('exit', end).once('error', end);
  });
  supervisor.stdin.on('error', () => undefined);
  const firstLine = new Promise<string>((resolve) => createInterface({ input: supervisor.stdout }).once('line', resolve));
  pid = Number(await Promise.race([firstLine, exited])) || 0;
  // An owner that simply ends must not be kept alive by its server.
  supervisor.unref();
  for (const stream of [supervisor.stdin, supervisor.stdout]) (stream as unknown as { unref?(): void }).unref?.();
  const hold = () => supervisor.ref();
  const end = () => {
    hold();
    supervisor.stdin.end();
  };
  return { pid, exited, hasExited: () => gone, hold, end };
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

function endOfLog(dir: string): string {
  try {
    return readFileSync(join(dir, 'redis.log'), 'utf8').trim().split('\n').slice(-3).join(' | ');
  } catch {
    return 'it left no log';
  }
}
