import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { haproxyBinary } from '@carillon/embedded';
import { freePort, TestClient, waitFor } from '@carillon/testkit';
import { dockerFile } from './docker-files.js';
import { tokenFor } from './system.js';

/** Runs `$1 -db -f $2` and ends it when its own standard input does, which the kernel sees to however the test dies. */
const SUPERVISOR = `exec 3<&0
"$1" -db -f "$2" 3<&- </dev/null & pid=$!
( cat <&3; kill -TERM "$pid" ) >/dev/null 2>&1 &
exec 3<&-
wait "$pid"`;

/** HAProxy with docker/haproxy.cfg. Made by startProxy; call `stop` when done. */
export interface RunningProxy {
  readonly port: number;
  /** What it said so far. */
  output(): string;
  stop(): Promise<void>;
}

/** Where the proxy leads to: addresses `host:port`, and the admin ports that tell whether they are well. */
export interface Backends {
  readonly api: readonly [address: string, adminPort: number];
  readonly gateways: readonly [readonly [address: string, adminPort: number], readonly [address: string, adminPort: number]];
}

/** Starts the proxy in front of these and resolves when it listens. */
export async function startProxy({ api, gateways }: Backends, more: Record<string, string> = {}): Promise<RunningProxy> {
  const port = await freePort();
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    PROXY_BIND: `127.0.0.1:${port}`,
    // Few, so that no machine's limit of open files is reached.
    PROXY_MAXCONN: '500',
    ...more,
  };
  for (const [name, [address, adminPort]] of Object.entries({ API: api, GATEWAY_1: gateways[0], GATEWAY_2: gateways[1] })) {
    env[`PROXY_${name}`] = address;
    env[`PROXY_${name}_ADMIN_PORT`] = String(adminPort);
  }
  const child = spawn('/bin/sh', ['-c', SUPERVISOR, 'sh', await haproxyBinary(), dockerFile('haproxy.cfg')], { env });
  let said = '';
  let isOver = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said += chunk;
    });
  }
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  void exited.then(() => {
    isOver = true;
  });
  const stop = async () => {
    child.stdin.end();
    await exited;
  };
  await waitFor(() => isOver || isListening(port), { what: 'the proxy to listen' });
  if (isOver) throw new Error(`the proxy ended; it said:\n${said}`);
  return { port, output: () => said, stop };
}

/** Whether somebody takes connections there. */
function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A client that comes back whenever its socket closes, with the position it has reached. Made by `Follower.start`; call `stop` when done. */
export class Follower {
  readonly userId: string;
  /** Offset and id of each notification it was told of, in order. */
  readonly told: { readonly offset: number; readonly id: string }[] = [];
  /** Codes its sockets closed with. */
  readonly closes: number[] = [];
  /** Resumptions that were not whole. */
  lost = 0;
  #client: TestClient | undefined;
  #position: { epoch?: string; offset?: number } = {};
  #isStopped = false;

  /** Resolves when it has authenticated for the first time. */
  static async start(url: string, userId: string): Promise<Follower> {
    const follower = new Follower(userId);
    await follower.#open(url);
    void follower.#goOn(url);
    return follower;
  }

  private constructor(userId: string) {
    this.userId = userId;
  }

  /** Whether its socket is authenticated and answers now. */
  async isAlive(): Promise<boolean> {
    return (await this.#client?.request({ type: 'getNotifications', limit: 1 }).catch(() => undefined))?.type === 'notifications';
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#client?.close();
  }

  async #open(url: string): Promise<void> {
    const client = await TestClient.connect(url);
    client.socket.on('message', (data) => this.#take(JSON.parse(String(data))));
    const answer = await client.authenticate(await tokenFor(this.userId), this.#position);
    if (answer.type !== 'authenticated') throw new Error(`not let in: ${answer.code}`);
    if (this.#position.epoch !== undefined && answer.data.recovered !== true) this.lost++;
    this.#position = { epoch: answer.data.epoch, offset: this.#position.offset ?? answer.data.offset };
    this.#client = client;
  }

  #take(frame: { type: string; event?: string; offset?: number; data?: { id: string } }): void {
    if (frame.type !== 'notification' || frame.offset === undefined) return;
    this.#position = { ...this.#position, offset: frame.offset };
    this.told.push({ offset: frame.offset, id: frame.data?.id ?? '' });
  }

  async #goOn(url: string): Promise<void> {
    while (!this.#isStopped) {
      const { code } = (await this.#client?.closed) ?? { code: 0 };
      if (this.#isStopped) return;
      this.closes.push(code);
      // Refused while one gateway goes and the proxy has not noticed: tried again, as clients do.
      await waitFor(() => this.#isStopped || this.#open(url).then(() => true), { timeout: 30_000, what: `${this.userId} to come back` });
    }
  }
}
