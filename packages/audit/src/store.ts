import { loadScript, type Redis } from '@carillon/redis';
import { type AuditRecord, type Head, type Sealed, unseal } from './record.js';

const appendScript = loadScript(new URL('../lua/append.lua', import.meta.url));
/** Records read at a time: each may have 1,000 ids, so 40 kB. */
const PAGE = 50;

/** A chain that may still grow, as it is registered. */
export interface Registered {
  readonly head: Head;
  /** When its writer last said that it lives, ms since 1970. */
  readonly seen: number;
  readonly ended: boolean;
}

/** An entry of a chain's stream. */
export interface Kept {
  /** `<at>-<seq>` */
  readonly id: string;
  readonly text: string;
}

export type Store = ReturnType<typeof createStore>;

/** The chains in Redis. Methods throw REDIS_UNAVAILABLE when it is away, QUEUE_FULL when it has no room. */
export function createStore(redis: Redis) {
  const { keys, command } = redis;

  const range = async (name: 'XRANGE' | 'XREVRANGE', writer: string, from: string, to: string, count: number): Promise<Kept[]> => {
    const entries = await command<[string, string[]][]>(name, keys.auditChain(writer), from, to, 'COUNT', count);
    return entries.map(([id, fields]) => ({ id, text: fields[1] ?? '' }));
  };

  return {
    isReady: redis.isReady,
    /** Adds records to their chain; what is there already is passed over. */
    append: (writer: string, records: readonly Sealed[]) =>
      redis.run<number>(appendScript, {
        keys: [keys.auditChain(writer)],
        args: records.flatMap(({ text, head }) => [`${head.at}-${head.seq}`, text]),
      }),
    register: ({ head, seen, ended }: Registered) =>
      command<number>('HSET', keys.auditChains, head.writer, JSON.stringify([head.seq, head.at, head.hash, seen, ended ? 1 : 0])),
    /** Chains that may still grow. */
    async registered(): Promise<Registered[]> {
      const flat = await command<string[]>('HGETALL', keys.auditChains);
      return flat.flatMap((value, i) => {
        if (i % 2 === 0) return [];
        const [seq, at, hash, seen, ended] = JSON.parse(value) as [number, number, string, number, number];
        return [{ head: { writer: flat[i - 1] as string, seq, at, hash }, seen, ended: ended === 1 }];
      });
    },
    /** Takes a chain out of those that may still grow. */
    async retire({ writer, at }: Head): Promise<void> {
      await command('ZADD', keys.auditEnded, at, writer);
      await command('HDEL', keys.auditChains, writer);
    },
    /** Chains that have ended, whose last record is not before `since`: name and the time of that record, latest first. */
    async ended(since: number): Promise<{ writer: string; at: number }[]> {
      const flat = await command<string[]>('ZRANGE', keys.auditEnded, '+inf', since, 'BYSCORE', 'REV', 'WITHSCORES');
      return flat.flatMap((at, i) => (i % 2 === 0 ? [] : [{ writer: flat[i - 1] as string, at: Number(at) }]));
    },
    /** Names of chains that ended before a time. */
    endedBefore: (before: number) => command<string[]>('ZRANGE', keys.auditEnded, '-inf', `(${before}`, 'BYSCORE'),
    async remove(writers: readonly string[]): Promise<void> {
      for (const writer of writers) {
        await command('UNLINK', keys.auditChain(writer));
        await command('ZREM', keys.auditEnded, writer);
      }
    },
    newestFirst: (writer: string, from: string, count: number) => range('XREVRANGE', writer, from, '-', count),
    /** A chain's first record from a time on. */
    async first(writer: string, from = 0): Promise<AuditRecord | undefined> {
      const [entry] = await range('XRANGE', writer, `${from}`, '+', 1);
      return entry && unseal(entry.text);
    },
    /** All of a chain, in order. */
    async *all(writer: string): AsyncGenerator<string> {
      for (let from = '-'; ; ) {
        const page = await range('XRANGE', writer, from, '+', PAGE);
        for (const { text } of page) yield text;
        const last = page.at(-1);
        if (last === undefined || page.length < PAGE) return;
        from = `(${last.id}`;
      }
    },
    /** Removes what is before the record that follows `head`. */
    trimTo: (head: Head) => command<number>('XTRIM', keys.auditChain(head.writer), 'MINID', `${head.at}-${head.seq + 1}`),
    /** Whether it is this writer's turn; nobody else gets one for `ms`. */
    takesTurn: async (writer: string, ms: number) =>
      (await command<string | null>('SET', keys.auditTurn[0], writer, 'NX', 'PX', ms)) === 'OK',
    /** Notes that a turn is over; the time of the last but one is answered by `turnBefore`. */
    async turned(at: number): Promise<void> {
      await command('LPUSH', keys.auditTurn[1], at);
      await command('LTRIM', keys.auditTurn[1], 0, 1);
    },
    /** When the last turn but one was; 0 if there was none. */
    turnBefore: async () => Number((await command<string | null>('LINDEX', keys.auditTurn[1], 1)) ?? 0),
  };
}
