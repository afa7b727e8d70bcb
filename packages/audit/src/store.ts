import { CarillonError } from '@carillon/contracts';
import { loadScript, type Redis } from '@carillon/redis';
import { type AuditRecord, type Head, unseal } from './record.js';

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
  /** `<time>-<seq>`; the time is that of the record, or of the latest before it if that is later. */
  readonly id: string;
  readonly text: string;
}

/** How a chain ended: `at` is the time of its last record. A chain that came back has ended twice. */
export interface Ending {
  readonly writer: string;
  readonly at: number;
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
    append: (writer: string, records: readonly Kept[]) =>
      redis.run<number>(appendScript, {
        keys: [keys.auditChain(writer)],
        args: records.flatMap(({ id, text }) => [id, text]),
      }),
    register: ({ head, seen, ended }: Registered) =>
      command<number>(
        'HSET',
        keys.auditChains,
        head.writer,
        JSON.stringify([head.seq, head.at, head.hash, seen, ended ? 1 : 0, head.keep, head.sink]),
      ),
    /** Chains that may still grow. */
    async registered(): Promise<Registered[]> {
      const flat = await command<string[]>('HGETALL', keys.auditChains);
      return flat.flatMap((value, i) => {
        if (i % 2 === 0) return [];
        const [seq, at, hash, seen, ended, keep, sink] = JSON.parse(value) as [number, number, string, number, number, number, string];
        return [{ head: { writer: flat[i - 1] as string, seq, at, hash, keep, sink }, seen, ended: ended === 1 }];
      });
    },
    /** Takes a chain out of those that may still grow. */
    async retire({ writer, at, keep = Number.POSITIVE_INFINITY }: Head): Promise<void> {
      await command('ZADD', keys.auditEnded, at + keep, `${at} ${writer}`);
      await command('HDEL', keys.auditChains, writer);
    },
    /** Chains that have ended and are to be kept until `until` or longer. */
    ended: async (until: number) => endingsOf(await command<string[]>('ZRANGE', keys.auditEnded, until, '+inf', 'BYSCORE')),
    /** Chains that have ended and were to be kept until a time before `now`. */
    expired: async (now: number) => endingsOf(await command<string[]>('ZRANGE', keys.auditEnded, '-inf', `(${now}`, 'BYSCORE')),
    remove: (writer: string) => command<number>('UNLINK', keys.auditChain(writer)),
    /** Takes endings out of those that are known. */
    async forget(endings: readonly Ending[]): Promise<void> {
      for (const { at, writer } of endings) await command('ZREM', keys.auditEnded, `${at} ${writer}`);
    },
    newestFirst: (writer: string, from: string, count: number) => range('XREVRANGE', writer, from, '-', count),
    /** A chain's first record from a time on, and its id. @throws AUDIT_UNAVAILABLE if it is not as it was written */
    first: async (writer: string, from = 0) => readable(writer, await range('XRANGE', writer, `${from}`, '+', 1)),
    /** A chain's last record. @throws AUDIT_UNAVAILABLE if it is not as it was written */
    last: async (writer: string) => readable(writer, await range('XREVRANGE', writer, '+', '-', 1)),
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
    /** Removes what is before an id. */
    trimTo: (writer: string, id: string) => command<number>('XTRIM', keys.auditChain(writer), 'MINID', id),
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

function endingsOf(members: readonly string[]): Ending[] {
  return members.flatMap((member) => {
    const [, at, writer] = /^(\d+) (\S+)$/.exec(member) ?? [];
    return writer === undefined ? [] : [{ writer, at: Number(at) }];
  });
}

/** The record of an entry; undefined if there is none. */
function readable(writer: string, [entry]: readonly Kept[]): { id: string; record: AuditRecord } | undefined {
  if (!entry) return undefined;
  const record = unseal(entry.text);
  if (record?.writer === writer && entry.id.endsWith(`-${record.seq}`)) return { id: entry.id, record };
  throw new CarillonError('AUDIT_UNAVAILABLE', { message: `the record at ${entry.id} of the chain ${writer} is not as it was written` });
}
