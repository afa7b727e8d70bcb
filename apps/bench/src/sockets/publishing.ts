import { createServer } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { now } from '../role.js';
import { type Message, message } from './message.js';

/** Hands messages to a side's Redis; resolves when Redis has them. */
export type Publish = (messages: readonly Message[]) => Promise<unknown>;

/** As much as the pipeline in front of the gateway does: the in-app worker takes 8 jobs at once, of up to 100 each. */
const BATCH = 100;
const BATCHES_AT_ONCE = 8;
/** Messages that may be on their way, published and not delivered: enough to keep all busy, far below what makes Redis cut a subscriber. */
const WINDOW = 5_000;

/** Bytes of a count of deliveries, as the client tells it. */
export const CREDIT_BYTES = 4;

/** What a publisher process answers. The same load for all sides; users take turns. `users` is how many there are. */
export async function publisherAsks(publish: Publish, users: number) {
  let published = 0;
  let delivered = 0;
  let saturating: Promise<void> | undefined;
  let stopped = false;
  let wake = () => {};

  const take = (count: number, at = 0) => Array.from({ length: count }, () => message(published++ % users, at));

  async function publishBatches(): Promise<void> {
    while (!stopped) {
      if (published - delivered + BATCH <= WINDOW) {
        await publish(take(BATCH));
        // A side whose publishing waits for nothing would let nobody else run.
        await turn();
      } else {
        await new Promise<void>((resolve) => {
          const before = wake;
          wake = () => {
            before();
            resolve();
          };
        });
      }
    }
  }

  const port = await listenForCredits((count) => {
    delivered += count;
    const waiting = wake;
    wake = () => {};
    waiting();
  });

  return {
    /** Where the client tells how many it got. */
    creditPort: () => port,
    /** Publishes as much as is delivered, until `stop`. */
    saturate() {
      stopped = false;
      delivered = published;
      saturating = Promise.all(Array.from({ length: BATCHES_AT_ONCE }, publishBatches)).then(() => {});
      saturating.catch(() => undefined);
    },
    /** Messages published since the start of the process, now that no more come. */
    async stop(): Promise<number> {
      stopped = true;
      wake();
      await saturating;
      return published;
    },
    /** Publishes one to each user. */
    async round(): Promise<void> {
      for (let left = users; left > 0; left -= BATCH) await publish(take(Math.min(BATCH, left)));
    },
    /** Publishes one at a time, evenly spaced, whatever has become of those before; answers like `stop`. */
    async paced({ perSecond, seconds }: { perSecond: number; seconds: number }): Promise<number> {
      const startedAt = now();
      const calls: Promise<unknown>[] = [];
      await new Promise<void>((resolve) => {
        const tick = () => {
          const due = Math.min(perSecond * seconds, Math.floor(((now() - startedAt) / 1e6) * perSecond));
          while (calls.length < due) calls.push(publish(take(1, now())));
          if (due < perSecond * seconds) setTimeout(tick, 1);
          else resolve();
        };
        tick();
      });
      await Promise.all(calls);
      return published;
    },
  };
}

/** Hears how many were delivered, as whole 32-bit counts; answers the port. */
function listenForCredits(credit: (count: number) => void): Promise<number> {
  const server = createServer((socket) => {
    let rest = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      let count = 0;
      let at = 0;
      for (; at + CREDIT_BYTES <= rest.length; at += CREDIT_BYTES) count += rest.readUInt32LE(at);
      rest = rest.subarray(at);
      credit(count);
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
}
