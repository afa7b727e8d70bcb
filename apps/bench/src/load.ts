import { now } from './role.js';
import { request } from './workload.js';

/** One call for one notification, as a backend makes it: resolves with the id when it is queued. */
export type QueueNotification = (notification: ReturnType<typeof request>) => Promise<string>;

export interface Burst {
  readonly count: number;
  /** Callers that each wait for their answer before they call again. */
  readonly callers: number;
}

export interface Pace {
  readonly perSecond: number;
  readonly seconds: number;
}

/** What a load did: ids in the order of the calls' ends, and when each call was made (µs). */
export interface Load {
  readonly ids: string[];
  readonly calledAt: Float64Array;
  readonly endedAt: number;
}

/** What a producer process answers. The same load for both sides. */
export function loadAsks(queueNotification: QueueNotification) {
  let queued = 0;
  const start = (count: number) => {
    const ids: string[] = [];
    const calledAt = new Float64Array(count);
    queued = 0;
    const call = async (index: number) => {
      const at = now();
      const id = await queueNotification(request(index));
      calledAt[ids.push(id) - 1] = at;
      queued++;
    };
    return { call, done: (): Load => ({ ids, calledAt, endedAt: now() }) };
  };

  return {
    queued: () => queued,
    async burst({ count, callers }: Burst): Promise<Load> {
      const { call, done } = start(count);
      let next = 0;
      const caller = async () => {
        while (next < count) await call(next++);
      };
      await Promise.all(Array.from({ length: callers }, caller));
      return done();
    },
    /** Calls evenly spaced, whatever has become of those before. */
    async paced({ perSecond, seconds }: Pace): Promise<Load> {
      const count = perSecond * seconds;
      const { call, done } = start(count);
      const startedAt = now();
      const calls: Promise<void>[] = [];
      await new Promise<void>((resolve) => {
        const tick = () => {
          while (calls.length < count && now() - startedAt >= (calls.length / perSecond) * 1e6) calls.push(call(calls.length));
          if (calls.length < count) setTimeout(tick, 1);
          else resolve();
        };
        tick();
      });
      await Promise.all(calls);
      return done();
    },
  };
}
