import { CarillonError, type ChannelItem, type DeliveryStatus } from '@carillon/contracts';
import type { Begun, Attempt as Claim, Deliveries, DeliveryRef, Settlement } from '@carillon/deliveries';
import type { Attempt } from '@carillon/queue';
import type { Channel, Delivered } from './channel.js';

/** How long a claim holds, ms: longer than a call to a provider may take, so that nobody takes it over while it is under way. */
const LEASE_MS = 20_000;

/**
 * How long a renderer's claim is believed without a look into the record, ms: while it is open nothing can be canceled. Later the delivery may have
 * failed, been canceled, and be tried again by somebody.
 */
const CLAIMED_MS = 10_000;

/** What became of one item in one try; `ended`: nothing was to be done any more. */
export type Result = Delivered | 'ended';

/** An item, or the id of one whose job cannot be read. */
type Known = ChannelItem | { readonly id: string };

/**
 * One channel's claims in the delivery records. A claim that is found open is a try whose outcome nobody knows: its worker died, or the answer was lost.
 * It is noted as unknown, its end or its echo is waited for, and then the template's policy, or the channel's, says whether the item is
 * sent again or left to a person.
 */
export class Ledger {
  readonly #channel: Channel;
  readonly #deliveries: Deliveries;
  readonly #settled: (channel: string, status: DeliveryStatus, count: number) => void;

  constructor(
    channel: Channel,
    deliveries: Deliveries,
    events: { deliverySettled?(channel: string, status: DeliveryStatus, count: number): void },
  ) {
    this.#channel = channel;
    this.#deliveries = deliveries;
    this.#settled = (...about) => events.deliverySettled?.(...about);
  }

  /** Claims items for a try; undefined for those that may be sent now. */
  async begin(items: readonly ChannelItem[], attempt: Attempt): Promise<(Result | undefined)[]> {
    if (items.every(isClaimed)) return items.map(() => undefined);
    const outcomes = await this.#deliveries.begin(items.map((item) => this.#claimOf(item, attempt.number, 'refuse')));
    return Promise.all(
      outcomes.map((outcome, i) => {
        if (!outcome.ok) return outcome;
        const { state } = outcome.value;
        if (state === 'open') return this.#judge(items[i] as ChannelItem, outcome.value, attempt);
        return state === 'go' ? undefined : 'ended';
      }),
    );
  }

  /** Notes what came of a try, and releases what was claimed for it; answers what the queue is to know. */
  async settle(
    items: readonly ChannelItem[],
    results: readonly Result[],
    claimed: ReadonlySet<number>,
    attempt: Attempt,
  ): Promise<(CarillonError | undefined)[]> {
    const errors = results.map((result, i) => (result === 'ended' ? undefined : this.#errorOf(items[i] as ChannelItem, result)));
    const steps = results.flatMap((result, i) => {
      const step = result === 'ended' ? undefined : this.#stepOf(items[i] as ChannelItem, result, claimed.has(i), attempt);
      return step ? [{ i, step }] : [];
    });
    // Delivered but not noted: tried again, and found open.
    for (const [k, failure] of (await this.#note(steps.map(({ step }) => step))).entries()) {
      const i = (steps[k] as { i: number }).i;
      if (failure) errors[i] ??= failure;
    }
    return errors;
  }

  /** Notes that items will not be tried again. @throws what Redis says against it */
  async giveUp(items: readonly Known[], error: CarillonError, attempts: number): Promise<void> {
    const { code } = error;
    const unknown = (item: Known) => this.#ending(item, 'unknown', 'OUTCOME_UNKNOWN', attempts);
    const failed = (item: Known) => this.#ending(item, 'failed', code, attempts);
    let steps = items.map(code === 'OUTCOME_UNKNOWN' || code === 'PROVIDER_OUTCOME_UNKNOWN' ? unknown : failed);
    if (code === 'JOB_CRASHED_WORKER') {
      // The process may have died before or after it was sent.
      const begun = await this.#deliveries.begin(
        items.map((item) => ({ ...this.#refOf(item), attempts, lease: LEASE_MS, open: 'refuse' as const })),
      );
      steps = items.flatMap((item, i) => {
        const outcome = begun[i];
        if (!outcome?.ok) throw outcome?.error ?? error;
        if (outcome.value.state === 'ended') return [];
        return [outcome.value.state === 'open' && this.#channel.definition.onUnknown === 'hold' ? unknown(item) : failed(item)];
      });
    }
    for (const failure of await this.#note(steps)) if (failure) throw failure;
  }

  /** What to do about a try that is open. */
  async #judge(item: ChannelItem, open: Extract<Begun, { state: 'open' }>, attempt: Attempt): Promise<Result | undefined> {
    const now = Date.now();
    if (open.until > now) return awaited(open.until - now);
    if (!open.noted) {
      const step = { ...this.#refOf(item), status: 'unknown' as const, attempts: open.attempts, reason: 'PROVIDER_OUTCOME_UNKNOWN' };
      const [failure] = await this.#note([step]);
      if (failure) return { ok: false, error: failure };
    }
    const echoUntil = (open.noted ? open.at : now) + this.#echo;
    if (echoUntil > now) return awaited(echoUntil - now);
    if (this.#policyOf(item) === 'hold') return { ok: false, error: new CarillonError('OUTCOME_UNKNOWN') };
    const [again] = await this.#deliveries.begin([this.#claimOf(item, attempt.number, 'resend')]);
    if (!again?.ok) return again;
    return again.value.state === 'go' ? undefined : 'ended';
  }

  /** How a result is noted, if it is; what was claimed must be released by one step or another. */
  #stepOf(item: ChannelItem, result: Delivered, claimed: boolean, attempt: Attempt): Settlement | undefined {
    const ref = this.#refOf(item);
    const by = result.provider === undefined ? {} : { provider: result.provider };
    if (result.ok) {
      const { ok: _ok, ...rest } = result;
      return { ...ref, attempts: attempt.number, ...rest };
    }
    const { code } = result.error;
    if (code === 'CHANNEL_HELD') return { ...ref, status: 'held', attempts: attempt.number - 1, reason: 'provider_down' };
    if (!claimed) return undefined;
    const status = code === 'PROVIDER_OUTCOME_UNKNOWN' ? 'unknown' : 'pending';
    return { ...ref, status, attempts: attempt.number, reason: code, ...by };
  }

  /** What the queue is told. A try whose outcome is unknown was a try; waiting for its echo afterwards costs none. */
  #errorOf(item: ChannelItem, result: Delivered): CarillonError | undefined {
    if (result.ok) return undefined;
    const { error } = result;
    if (error.code !== 'PROVIDER_OUTCOME_UNKNOWN' || this.#repeats(item)) return error;
    if (this.#echo === 0 && this.#policyOf(item) === 'hold') return new CarillonError('OUTCOME_UNKNOWN', { cause: error.cause });
    return new CarillonError('PROVIDER_OUTCOME_UNKNOWN', { retryAfter: this.#echo, cause: error.cause });
  }

  get #echo(): number {
    return this.#channel.awaitEcho ?? 0;
  }

  #policyOf(item: ChannelItem) {
    return item.onUnknown ?? this.#channel.definition.onUnknown;
  }

  /** Nothing is waited for and nothing is shown twice: an open try is none of our concern. */
  #repeats(item: ChannelItem): boolean {
    return this.#policyOf(item) === 'resend' && this.#channel.definition.onUnknown === 'resend';
  }

  #refOf(item: Known): DeliveryRef {
    return {
      id: item.id,
      channel: this.#channel.definition.name as Settlement['channel'],
      address: 'to' in item ? item.to?.id : undefined,
    };
  }

  #claimOf(item: ChannelItem, attempts: number, open: 'refuse' | 'resend'): Claim {
    const mode = item.claimedAt !== undefined ? 'ours' : this.#repeats(item) ? 'resend' : open;
    return { ...this.#refOf(item), attempts, lease: LEASE_MS, open: mode };
  }

  #ending(item: Known, status: 'unknown' | 'failed', reason: string, attempts: number): Settlement {
    return { ...this.#refOf(item), status, attempts, reason, ...(status === 'unknown' && { final: true }) };
  }

  async #note(steps: readonly Settlement[]): Promise<(CarillonError | undefined)[]> {
    if (steps.length === 0) return [];
    const outcomes = await this.#deliveries.settle(steps);
    const counts = new Map<DeliveryStatus, number>();
    for (const [i, { status }] of steps.entries()) if (outcomes[i]?.ok) counts.set(status, (counts.get(status) ?? 0) + 1);
    for (const [status, count] of counts) this.#settled(this.#channel.definition.name, status, count);
    return outcomes.map((outcome) => (outcome.ok ? undefined : outcome.error));
  }
}

/** The renderer claimed it for this very try. */
function isClaimed({ claimedAt }: ChannelItem): boolean {
  return claimedAt !== undefined && Date.now() - claimedAt < CLAIMED_MS;
}

/** Its end, or its echo, is waited for at no cost. */
function awaited(retryAfter: number): Delivered {
  return { ok: false, error: new CarillonError('OUTCOME_AWAITED', { retryAfter }) };
}
