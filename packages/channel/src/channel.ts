import { CarillonError, type ChannelDefinition, type ChannelItem, type DeliveryStatus, toCarillonError } from '@carillon/contracts';
import type { Begun, Deliveries, DeliveryRef, Settlement } from '@carillon/deliveries';
import { type Attempt, channelStage, runStage, type StageWorker, type StageWorkerOptions, type WorkerEvents } from '@carillon/queue';

/** How the delivery of one item ended. */
export type Delivered =
  | {
      readonly ok: true;
      /** `failed` for an address that does not exist: nothing to try again, so no dead letter either. */
      readonly status: Extract<DeliveryStatus, 'sent' | 'delivered' | 'skipped' | 'failed'>;
      readonly reason?: string;
      readonly provider?: string;
      readonly providerMessageId?: string;
    }
  | { readonly ok: false; readonly error: CarillonError; readonly provider?: string };

/**
 * A way to a recipient. Pass the suite of `@carillon/channel/testing` and it is one.
 */
export interface Channel {
  readonly definition: ChannelDefinition;
  /** How long the provider's own word on an unknown outcome is waited for, ms; 0 where none can come. */
  readonly awaitEcho?: number;
  /** Decides before anything is claimed whether items can go out now; undefined lets one go. What it throws counts for all items. */
  admit?(items: readonly ChannelItem[], attempt: Attempt): Promise<(Delivered | undefined)[]>;
  /** Decides, while they are being claimed, whether items may go out at all; undefined lets one go. What it throws counts for all items. */
  permit?(items: readonly ChannelItem[]): Promise<(Delivered | undefined)[]>;
  /**
   * Delivers the items of one job and answers for each, in order. Each was claimed, so a channel need not ask whether it was sent before;
   * one whose definition says `onUnknown: 'resend'` gets an item again whose outcome nobody knows. The error's verdict decides whether an item
   * is tried again. What it throws counts for all items.
   */
  deliver(items: readonly ChannelItem[], attempt: Attempt): Promise<Delivered[]>;
}

/** Reports of a channel's worker. */
export interface ChannelEvents extends WorkerEvents {
  deliverySettled?(channel: string, status: DeliveryStatus, count: number): void;
}

export interface ChannelWorkerOptions extends Pick<StageWorkerOptions<ChannelItem>, 'redis' | 'vault' | 'partitions' | 'concurrency'> {
  readonly channel: Channel;
  readonly deliveries: Deliveries;
  readonly events?: ChannelEvents;
}

/** How long a claim holds, ms: longer than a call to a provider may take, so that nobody takes it over while it is under way. */
const LEASE_MS = 20_000;

/**
 * How long a renderer's claim is believed without a look into the record, ms: while it is open nothing can be canceled. Later the delivery may have
 * failed, been canceled, and be tried again by somebody.
 */
const CLAIMED_MS = 10_000;

/**
 * Runs a channel's worker until it is closed. Each job: admit, claim in the delivery record (and ask for permission), deliver, settle in the record. A claim that was
 * settled sends nothing; one that is found open is an unknown outcome, see `judge`. @throws REDIS_UNAVAILABLE
 */
export function runChannel({ channel, deliveries, events = {}, ...options }: ChannelWorkerOptions): Promise<StageWorker> {
  const ledger = createLedger(channel, deliveries, events);
  return runStage<ChannelItem>({
    ...options,
    definition: channelStage(channel.definition),
    events,
    async handle(items, attempt) {
      const results = new Array<Delivered | 'ended' | undefined>(items.length).fill(undefined);
      const still = () => [...items.keys()].filter((i) => results[i] === undefined);
      const fill = (positions: readonly number[], given: readonly (Delivered | 'ended' | undefined)[]) => {
        for (const [k, i] of positions.entries()) results[i] = given[k];
      };
      const at = (positions: readonly number[]) => positions.map((i) => items[i] as ChannelItem);

      if (channel.admit) fill(still(), await channel.admit(items, attempt));
      const admitted = still();
      // Together, for it saves a round trip: what may not go out is settled as any other claim.
      const [permits, claims] = await Promise.all([permit(channel, at(admitted)), ledger.begin(at(admitted), attempt)]);
      fill(admitted, claims);
      const claimed = still();
      for (const [k, i] of admitted.entries()) results[i] ??= permits[k];
      const permitted = still();
      if (permitted.length > 0) fill(permitted, await deliver(channel, at(permitted), attempt));
      return ledger.settle(items, results as (Delivered | 'ended')[], new Set(claimed), attempt);
    },
    giveUp: ledger.giveUp,
  });
}

/** Throws nothing: what was claimed meanwhile must be settled. */
async function permit(channel: Channel, items: readonly ChannelItem[]): Promise<readonly (Delivered | undefined)[]> {
  try {
    return (await channel.permit?.(items)) ?? [];
  } catch (error) {
    return items.map(() => ({ ok: false, error: toCarillonError(error) }));
  }
}

/** What a channel throws while something is claimed was perhaps sent, unless it says otherwise. */
async function deliver(channel: Channel, items: readonly ChannelItem[], attempt: Attempt): Promise<Delivered[]> {
  try {
    return await channel.deliver(items, attempt);
  } catch (thrown) {
    const error = thrown instanceof CarillonError ? thrown : new CarillonError('PROVIDER_OUTCOME_UNKNOWN', { cause: thrown });
    return items.map(() => ({ ok: false, error }));
  }
}

/** The claims of one channel's worker in the delivery records. */
function createLedger(channel: Channel, deliveries: Deliveries, events: ChannelEvents) {
  const { definition, awaitEcho = 0 } = channel;
  const name = definition.name as Settlement['channel'];
  const refOf = ({ id, to }: Pick<ChannelItem, 'id' | 'to'>): DeliveryRef => ({ id, channel: name, address: to?.id });
  const policyOf = (item: ChannelItem) => item.onUnknown ?? definition.onUnknown;
  /** Nothing is waited for and nothing is shown twice: an open try is none of our concern. */
  const repeats = (item: ChannelItem) => policyOf(item) === 'resend' && definition.onUnknown === 'resend';
  /** The renderer claimed it for this very try. */
  const isClaimed = ({ claimedAt }: ChannelItem) => claimedAt !== undefined && Date.now() - claimedAt < CLAIMED_MS;

  const note = async (steps: readonly Settlement[]): Promise<(CarillonError | undefined)[]> => {
    if (steps.length === 0) return [];
    const outcomes = await deliveries.settle(steps);
    const counts = new Map<DeliveryStatus, number>();
    for (const [i, { status }] of steps.entries()) if (outcomes[i]?.ok) counts.set(status, (counts.get(status) ?? 0) + 1);
    for (const [status, count] of counts) events.deliverySettled?.(name, status, count);
    return outcomes.map((outcome) => (outcome.ok ? undefined : outcome.error));
  };

  /** What to do about a try that is open: wait for its end or its echo, then what the template or the channel says. */
  const judge = async (item: ChannelItem, open: Extract<Begun, { state: 'open' }>): Promise<Delivered | 'resend'> => {
    const now = Date.now();
    const awaited = (retryAfter: number): Delivered => ({ ok: false, error: new CarillonError('OUTCOME_AWAITED', { retryAfter }) });
    if (open.until > now) return awaited(open.until - now);
    if (!open.noted) {
      const [failure] = await note([{ ...refOf(item), status: 'unknown', attempts: open.attempts, reason: 'PROVIDER_OUTCOME_UNKNOWN' }]);
      if (failure) return { ok: false, error: failure };
    }
    const echoUntil = (open.noted ? open.at : now) + awaitEcho;
    if (echoUntil > now) return awaited(echoUntil - now);
    return policyOf(item) === 'resend' ? 'resend' : { ok: false, error: new CarillonError('OUTCOME_UNKNOWN') };
  };

  const claim = async (items: readonly ChannelItem[], attempts: number, open: 'refuse' | 'resend') =>
    deliveries.begin(
      items.map((item) => {
        const own = item.claimedAt !== undefined;
        return { ...refOf(item), attempts, lease: LEASE_MS, open: own ? 'ours' : repeats(item) ? 'resend' : open };
      }),
    );

  /** Claims items; undefined for those that may be sent now. */
  const begin = async (items: readonly ChannelItem[], attempt: Attempt): Promise<(Delivered | 'ended' | undefined)[]> => {
    if (items.every(isClaimed)) return items.map(() => undefined);
    const outcomes = await claim(items, attempt.number, 'refuse');
    return Promise.all(
      outcomes.map(async (outcome, i) => {
        if (!outcome.ok) return outcome;
        if (outcome.value.state !== 'open') return outcome.value.state === 'go' ? undefined : 'ended';
        const item = items[i] as ChannelItem;
        const judged = await judge(item, outcome.value);
        if (judged !== 'resend') return judged;
        const [again] = await claim([item], attempt.number, 'resend');
        if (!again?.ok) return again as Delivered;
        return again.value.state === 'go' ? undefined : 'ended';
      }),
    );
  };

  /** How a result is noted, if it is; `claimed` must be released by one step or another. */
  const stepOf = (item: ChannelItem, result: Delivered, claimed: boolean, attempt: Attempt): Settlement | undefined => {
    const ref = refOf(item);
    const by = result.provider === undefined ? {} : { provider: result.provider };
    if (result.ok) {
      const { ok: _ok, ...rest } = result;
      return { ...ref, attempts: attempt.number, ...rest };
    }
    const { code } = result.error;
    if (code === 'CHANNEL_HELD') return { ...ref, status: 'held', attempts: attempt.number - 1, reason: 'provider_down' };
    if (!claimed) return undefined;
    if (code === 'PROVIDER_OUTCOME_UNKNOWN') return { ...ref, status: 'unknown', attempts: attempt.number, reason: code, ...by };
    return { ...ref, status: 'pending', attempts: attempt.number, reason: code, ...by };
  };

  /** What the queue is told. A try whose outcome is unknown was a try; waiting for its echo afterwards costs none. */
  const errorOf = (item: ChannelItem, result: Delivered): CarillonError | undefined => {
    if (result.ok) return undefined;
    if (result.error.code !== 'PROVIDER_OUTCOME_UNKNOWN' || repeats(item)) return result.error;
    if (awaitEcho === 0 && policyOf(item) === 'hold') return new CarillonError('OUTCOME_UNKNOWN', { cause: result.error.cause });
    return new CarillonError('PROVIDER_OUTCOME_UNKNOWN', { retryAfter: awaitEcho, cause: result.error.cause });
  };

  return {
    begin,

    async settle(items: readonly ChannelItem[], results: readonly (Delivered | 'ended')[], claimed: ReadonlySet<number>, attempt: Attempt) {
      const errors = results.map((result, i) => (result === 'ended' ? undefined : errorOf(items[i] as ChannelItem, result)));
      const steps = results.flatMap((result, i) => {
        const step = result === 'ended' ? undefined : stepOf(items[i] as ChannelItem, result, claimed.has(i), attempt);
        return step ? [{ i, step }] : [];
      });
      // Delivered but not noted: tried again, and found open.
      for (const [k, failure] of (await note(steps.map(({ step }) => step))).entries()) {
        const i = (steps[k] as { i: number }).i;
        if (failure) errors[i] ??= failure;
      }
      return errors;
    },

    async giveUp(items: readonly (ChannelItem | { readonly id: string })[], error: CarillonError, attempts: number) {
      const given = (item: ChannelItem | { readonly id: string }): Settlement => ({
        ...refOf(item),
        status: 'failed',
        attempts,
        reason: error.code,
      });
      const unknown = (item: ChannelItem | { readonly id: string }): Settlement => ({
        ...refOf(item),
        status: 'unknown',
        attempts,
        reason: 'OUTCOME_UNKNOWN',
        final: true,
      });
      const isUnknown = error.code === 'OUTCOME_UNKNOWN' || error.code === 'PROVIDER_OUTCOME_UNKNOWN';
      let steps = items.map(isUnknown ? unknown : given);
      if (error.code === 'JOB_CRASHED_WORKER') {
        // The process may have died of it before or after it was sent.
        const begun = await deliveries.begin(items.map((item) => ({ ...refOf(item), attempts, lease: LEASE_MS, open: 'refuse' as const })));
        steps = items.flatMap((item, i) => {
          const outcome = begun[i];
          if (!outcome?.ok) throw outcome?.error ?? error;
          if (outcome.value.state === 'ended') return [];
          return [outcome.value.state === 'open' && definition.onUnknown === 'hold' ? unknown(item) : given(item)];
        });
      }
      for (const failure of await note(steps)) if (failure) throw failure;
    },
  };
}
