import { randomUUID } from 'node:crypto';
import { type Audit, noAudit } from '@carillon/audit';
import { CarillonError, type ChannelItem, type DeliveryStatus, isDirect, toCarillonError } from '@carillon/contracts';
import type { Deliveries } from '@carillon/deliveries';
import { type Attempt, channelStage, runStage, type StageWorker, type StageWorkerOptions, type WorkerEvents } from '@carillon/queue';
import type { Channel, Delivered } from './channel.js';
import { Ledger, type Result } from './ledger.js';

/** Reports of a channel's worker. */
export interface ChannelEvents extends WorkerEvents {
  deliverySettled?(channel: string, status: DeliveryStatus, count: number): void;
}

export interface ChannelWorkerOptions extends Pick<StageWorkerOptions<ChannelItem>, 'redis' | 'vault' | 'partitions' | 'concurrency'> {
  readonly channel: Channel;
  readonly deliveries: Deliveries;
  readonly events?: ChannelEvents;
  /** Hears what became of deliveries; nobody unless told. */
  readonly audit?: Audit | undefined;
}

/**
 * Runs a channel's worker until it is closed. Each job: admit, claim in the delivery record (and ask for permission), deliver, settle in the record. A claim that was
 * settled sends nothing; one that is found open is an unknown outcome, see `Ledger`. @throws REDIS_UNAVAILABLE
 */
export function runChannel({ channel, deliveries, events = {}, audit = noAudit, ...options }: ChannelWorkerOptions): Promise<StageWorker> {
  const ledger = new Ledger(channel, deliveries, events, audit);
  return runStage<ChannelItem>({
    ...options,
    definition: channelStage(channel.definition),
    events,
    async handle(items, attempt) {
      const results = new Array<Result | undefined>(items.length).fill(undefined);
      const still = () => [...items.keys()].filter((i) => results[i] === undefined);
      const fill = (positions: readonly number[], given: readonly (Result | undefined)[]) => {
        for (const [k, i] of positions.entries()) results[i] = given[k];
      };
      const at = (positions: readonly number[]) => positions.map((i) => items[i] as ChannelItem);

      if (channel.admit) fill(still(), await channel.admit(items, attempt));
      const admitted = still();
      const by = randomUUID().slice(0, 8);
      // A turn is waited for before anything is claimed, and lasts until it is settled: what waits can still be canceled, and a process that dies leaves no
      // more claims behind than it may call at once.
      return turn(channel, async () => {
        // Together, for it saves a round trip: what may not go out is settled as any other claim.
        const [permits, claims] = await Promise.all([permit(channel, at(admitted)), ledger.begin(at(admitted), attempt, by)]);
        fill(admitted, claims);
        // Also where it is not known whether they were claimed.
        const claimed = admitted.filter((i) => results[i] === undefined || isUnanswered(results[i]));
        for (const [k, i] of admitted.entries()) results[i] ??= permits[k];
        const permitted = still();
        if (permitted.length > 0) fill(permitted, await deliver(channel, at(permitted), attempt));
        return ledger.settle(items, results as Result[], new Set(claimed), attempt, by);
      });
    },
    giveUp: (items, error, attempts) => ledger.giveUp(items, error, attempts),
  });
}

/** A claim whose answer did not come. */
function isUnanswered(result: Result | undefined): boolean {
  return result !== undefined && result !== 'ended' && !result.ok && !result.error.code.startsWith('OUTCOME_');
}

/** Runs what calls a provider when it is its turn. */
function turn<T>(channel: Channel, run: () => Promise<T>): Promise<T> {
  return channel.turn ? channel.turn(run) : run();
}

/** Throws nothing: what was claimed meanwhile must be settled. */
async function permit(channel: Channel, items: readonly ChannelItem[]): Promise<readonly (Delivered | undefined)[]> {
  try {
    return (await channel.permit?.(items)) ?? [];
  } catch (error) {
    return items.map(() => ({ ok: false, error: toCarillonError(error) }));
  }
}

/** What a provider's channel throws was perhaps sent, unless it says otherwise; what goes to the user itself never leaves our Redis. */
async function deliver(channel: Channel, items: readonly ChannelItem[], attempt: Attempt): Promise<Delivered[]> {
  try {
    return await channel.deliver(items, attempt);
  } catch (thrown) {
    const known = thrown instanceof CarillonError || isDirect(channel.definition);
    const error = known ? toCarillonError(thrown) : new CarillonError('PROVIDER_OUTCOME_UNKNOWN', { cause: thrown });
    return items.map(() => ({ ok: false, error }));
  }
}
