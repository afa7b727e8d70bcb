import type { Audit } from '@carillon/audit';
import { CarillonError, type ChannelItem, type DeliveryStatus, isDirect } from '@carillon/contracts';
import {
  ANYBODY,
  type Begun,
  type Attempt as Claim,
  type Deliveries,
  type DeliveryRef,
  HOUSE,
  type Noted,
  type Settlement,
} from '@carillon/deliveries';
import type { Attempt } from '@carillon/queue';
import type { Outcome } from '@carillon/redis';
import type { Channel, Delivered } from './channel.js';

/** How long a claim holds, ms: longer than all calls of one try may take, so that nobody takes it over while it is under way. */
export const LEASE_MS = 20_000;

/** What became of one item in one try; `ended`: nothing was to be done any more. */
export type Result = Delivered | 'ended';

/** Steps after which there will be another. */
const OPEN = new Set<DeliveryStatus>(['pending', 'sending', 'held']);

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
  readonly #audit: Audit;

  constructor(
    channel: Channel,
    deliveries: Deliveries,
    events: { deliverySettled?(channel: string, status: DeliveryStatus, count: number): void },
    audit: Audit,
  ) {
    this.#channel = channel;
    this.#deliveries = deliveries;
    this.#settled = (...about) => events.deliverySettled?.(...about);
    this.#audit = audit;
  }

  /** Claims items for a try by this name; undefined for those that may be sent now. */
  async begin(items: readonly ChannelItem[], attempt: Attempt, by: string): Promise<(Result | undefined)[]> {
    // Claimed by the renderer, and open until this channel is done with it.
    if (attempt.fresh && items.every(({ claimed }) => claimed)) return items.map(() => undefined);
    const outcomes = await this.#deliveries.begin(
      items.map((item) => this.#claimOf(item, attempt.number, by, attempt.redriven ? 'redriven' : 'refuse')),
    );
    return Promise.all(
      outcomes.map((outcome, i) => {
        if (!outcome.ok) return outcome;
        const { state } = outcome.value;
        if (state === 'open') return this.#judge(items[i] as ChannelItem, outcome.value, attempt, by);
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
    by: string,
  ): Promise<(CarillonError | undefined)[]> {
    const errors = results.map((result, i) => (result === 'ended' ? undefined : this.#errorOf(items[i] as ChannelItem, result)));
    const steps = results.flatMap((result, i) => {
      const step =
        result === 'ended'
          ? undefined
          : this.#stepOf(items[i] as ChannelItem, result, claimed.has(i) ? this.#owner(by) : undefined, attempt);
      return step ? [{ i, step }] : [];
    });
    // Delivered but not noted: tried again, and found open.
    for (const [k, outcome] of (await this.#note(steps.map(({ step }) => step))).entries()) {
      if (!outcome.ok) errors[(steps[k] as { i: number }).i] ??= outcome.error;
    }
    return errors;
  }

  /** Notes that items will not be tried again; of what was perhaps sent, that nobody knows. @throws what Redis says against it */
  async giveUp(items: readonly Known[], { code }: CarillonError, attempts: number): Promise<void> {
    const unknown = (item: Known) => this.#ending(item, 'unknown', 'OUTCOME_UNKNOWN', attempts);
    const isUnknown = code === 'OUTCOME_UNKNOWN' || code === 'PROVIDER_OUTCOME_UNKNOWN';
    const outcomes = await this.#note(items.map((item) => (isUnknown ? unknown(item) : this.#ending(item, 'failed', code, attempts))));
    const refused = items.filter((_, i) => outcomes[i]?.ok && outcomes[i].value === 'refused');
    for (const outcome of [...outcomes, ...(await this.#note(refused.map(unknown)))]) if (!outcome.ok) throw outcome.error;
  }

  /** What to do about a try that is open. */
  async #judge(item: ChannelItem, open: Extract<Begun, { state: 'open' }>, attempt: Attempt, by: string): Promise<Result | undefined> {
    const now = Date.now();
    if (open.until > now) return awaited(open.until - now);
    if (!open.noted) {
      const step = { ...this.#refOf(item), status: 'unknown' as const, attempts: open.attempts, reason: 'PROVIDER_OUTCOME_UNKNOWN' };
      const [noted] = await this.#note([step]);
      if (!noted?.ok) return noted;
    }
    const echoUntil = (open.noted ? open.at : now) + this.#echo;
    if (echoUntil > now) return awaited(echoUntil - now);
    // Sent again once is enough: whoever loses two answers has another trouble.
    if (this.#policyOf(item) === 'hold' || open.resent) return { ok: false, error: new CarillonError('OUTCOME_UNKNOWN') };
    const [again] = await this.#deliveries.begin([this.#claimOf(item, attempt.number, by, 'resend')]);
    if (!again?.ok) return again;
    // Somebody else was faster, and is at it.
    if (again.value.state === 'open') return awaited(Math.max(0, again.value.until - now));
    return again.value.state === 'go' ? undefined : 'ended';
  }

  /** How a result is noted, if it is. What was claimed must be released by one step or another, but for what stays claimed until it is delivered. */
  #stepOf(item: ChannelItem, result: Delivered, by: string | undefined, attempt: Attempt): Settlement | undefined {
    const ref = { ...this.#refOf(item), by };
    if (result.ok) {
      const { ok: _ok, ...rest } = result;
      return { ...ref, attempts: attempt.number - (rest.status === 'skipped' ? 1 : 0), ...rest };
    }
    const { code } = result.error;
    if (code === 'CHANNEL_HELD') return { ...ref, status: 'held', attempts: attempt.number - 1, reason: 'provider_down' };
    if (by === undefined || item.claimed) return undefined;
    const status = code === 'PROVIDER_OUTCOME_UNKNOWN' ? 'unknown' : 'pending';
    return { ...ref, status, attempts: attempt.number, reason: code, ...(result.provider !== undefined && { provider: result.provider }) };
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

  #claimOf(item: ChannelItem, attempts: number, by: string, open: Claim['open']): Claim {
    const mode = this.#isDirect ? 'ours' : this.#repeats(item) ? 'repeat' : open;
    return { ...this.#refOf(item), attempts, by: this.#owner(by), lease: LEASE_MS, open: mode };
  }

  get #isDirect(): boolean {
    return isDirect(this.#channel.definition);
  }

  #owner(by: string): string {
    return this.#isDirect ? HOUSE : by;
  }

  #ending(item: Known, status: 'unknown' | 'failed', reason: string, attempts: number): Settlement {
    return { ...this.#refOf(item), status, attempts, reason, ...(this.#isDirect && { by: ANYBODY }) };
  }

  async #note(steps: readonly Settlement[]): Promise<Outcome<Noted>[]> {
    if (steps.length === 0) return [];
    const outcomes = await this.#deliveries.settle(steps);
    const noted = new Map<DeliveryStatus, string[]>();
    for (const [i, { status, id }] of steps.entries()) {
      const outcome = outcomes[i];
      if (!outcome?.ok || outcome.value !== 'noted') continue;
      const ids = noted.get(status);
      if (ids) ids.push(id);
      else noted.set(status, [id]);
    }
    const channel = this.#channel.definition.name;
    for (const [status, ids] of noted) {
      this.#settled(channel, status, ids.length);
      if (OPEN.has(status)) continue;
      this.#audit.note({ actor: { type: 'system', name: channel }, action: 'delivery.settled', ids, about: { channel, status } });
    }
    return outcomes;
  }
}

/** Its end, or its echo, is waited for at no cost. */
function awaited(retryAfter: number): Delivered {
  return { ok: false, error: new CarillonError('OUTCOME_AWAITED', { retryAfter }) };
}
