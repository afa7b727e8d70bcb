import { createHash } from 'node:crypto';
import {
  type Address,
  type AddressKind,
  CarillonError,
  type ChannelDefinition,
  type ChannelItem,
  type ChannelName,
  toCarillonError,
} from '@carillon/contracts';
import type { Directory, Suppression } from '@carillon/directory';
import type { Attempt } from '@carillon/queue';
import pLimit from 'p-limit';
import type { Whom } from './allow.js';
import { Breaker } from './breaker.js';
import { unlessAborted } from './call.js';
import type { Channel, Delivered } from './channel.js';
import { MISCONFIGURED_PAUSE_MS, rest, showingOf, TRANSIENT } from './health.js';
import { LEASE_MS } from './ledger.js';
import { CALL_TIMEOUT_MS, type Message, type Provider, type Sent } from './provider.js';

/** Reports of calls to providers. */
export interface ProviderEvents {
  /** `outcome` is `sent` or an error's code. */
  providerCalled?(provider: string, outcome: string, count: number, ms: number): void;
  /** The provider is left alone for a while. */
  providerPaused?(provider: string, error: CarillonError): void;
}

export interface ProviderChannelOptions {
  readonly definition: ChannelDefinition;
  /** In the order in which they are tried. For what may not really be sent, see `sandbox`. */
  readonly providers: readonly Provider[];
  /** Takes the place of the providers for whom `isLive` says no to. */
  readonly sandbox: Provider;
  readonly isLive: (whom: Whom) => boolean;
  readonly directory: Pick<Directory, 'standing' | 'pruneDevice' | 'suppress' | 'unsubscribeToken'>;
  /** The rate all workers of the channel share; see `createRate`. */
  readonly rate?: { take(calls: number, signal: AbortSignal): Promise<void> } | undefined;
  /** Where unsubscribe links lead; without it none are made. */
  readonly publicUrl?: string | undefined;
  readonly awaitEcho: number;
  /** Calls to providers at once; unlimited unless told. */
  readonly calls?: number;
  readonly events?: ProviderEvents;
}

/** How long a provider whose time is over may take to tell what it knows, ms: one lost answer is no reason to forget the others of its call. */
const GRACE_MS = 500;
/** Characters of a tag: 132 bits of base64url, and within the 32 that Web Push allows a topic. */
const TAG_CHARACTERS = 22;

/** How one message fared, and why its address is to be stopped, where the provider says so. */
type Carried = Delivered & { readonly suppress?: Suppression['reason'] | undefined };

interface Guarded {
  readonly provider: Provider;
  readonly breaker: Breaker;
}

/** Peers of a provider whose health is remembered; the one unheard of for longest is forgotten. */
const PEERS = 1000;

/** A provider with the breaker of whoever an address is reached by. */
function guard(provider: Provider): (to: Address) => Guarded {
  const peers = new Map<string, Guarded>();
  return (to) => {
    const name = provider.peerOf?.(to) ?? '';
    const peer = peers.get(name) ?? { provider, breaker: new Breaker() };
    peers.delete(name);
    peers.set(name, peer);
    if (peers.size > PEERS) peers.delete(peers.keys().next().value as string);
    return peer;
  };
}

/**
 * A channel whose messages are carried by providers: asks the directory whether the address may still be written to and the user still wants it, keeps to the channel's rate,
 * calls the first provider that is available, and gives what it surely did not send to the next.
 */
export function createProviderChannel(options: ProviderChannelOptions): Channel {
  const { definition, directory, rate, isLive } = options;
  const limit = pLimit(options.calls ?? Number.POSITIVE_INFINITY);
  const guarded = options.providers.map((provider) => ({ kinds: provider.kinds, of: guard(provider) }));
  const sandbox = [{ provider: options.sandbox, breaker: new Breaker() }];
  const candidates = (item: ChannelItem): readonly Guarded[] => {
    const to = addressOf(item);
    if (!isLive({ to, userId: item.userId })) return sandbox;
    return guarded.filter(({ kinds }) => kinds.includes(to.kind)).map(({ of }) => of(to));
  };

  return {
    definition,
    awaitEcho: options.awaitEcho,
    turn: limit,

    async admit(items, attempt) {
      const results = items.map((item): Delivered | undefined => {
        const able = candidates(item);
        return able.some(({ breaker }) => breaker.isAvailable()) ? undefined : held(able);
      });
      const calls = results.filter((result) => result === undefined).length;
      if (calls > 0) await rate?.take(calls, attempt.signal);
      return results;
    },

    async permit(items) {
      const channel = definition.name as ChannelName;
      const asked = items.map((item) => ({
        userId: item.userId,
        channel,
        to: addressOf(item),
        category: item.category,
        required: item.required,
      }));
      return (await directory.standing(asked)).map((outcome): Delivered | undefined => {
        if (!outcome.ok) return outcome;
        return outcome.value === undefined ? undefined : { ok: true, status: 'skipped', reason: outcome.value };
      });
    },

    async deliver(items, attempt) {
      const results = new Array<Carried | undefined>(items.length).fill(undefined);
      for (const { able, positions } of byCandidates(items, candidates)) {
        const messages = positions.map((i) => messageOf(items[i] as ChannelItem, options));
        const carried = await carry(able, messages, attempt, options.events);
        for (const [k, result] of carried.entries()) results[positions[k] as number] = result;
      }
      return Promise.all(results.map((result, i) => settled(result as Carried, items[i] as ChannelItem, options)));
    },
  };
}

/** Where an item goes. Jobs of channels with providers always say so. */
function addressOf({ to }: ChannelItem): Address {
  if (to === undefined) throw new CarillonError('JOB_UNREADABLE');
  return to;
}

/** Positions of the items by the providers that may carry them: mostly one group. */
function byCandidates(
  items: readonly ChannelItem[],
  candidates: (item: ChannelItem) => readonly Guarded[],
): { able: readonly Guarded[]; positions: number[] }[] {
  const groups: { able: readonly Guarded[]; positions: number[] }[] = [];
  for (const [i, item] of items.entries()) {
    const able = candidates(item);
    const same = groups.find(
      (group) => group.able.length === able.length && group.able.every(({ breaker }, k) => breaker === able[k]?.breaker),
    );
    if (same) same.positions.push(i);
    else groups.push({ able, positions: [i] });
  }
  return groups;
}

/** Gives messages to the first provider that is available, and those it surely did not send to the next. */
async function carry(
  able: readonly Guarded[],
  messages: readonly Message[],
  attempt: Attempt,
  events: ProviderEvents = {},
): Promise<Carried[]> {
  const results = new Array<Carried | undefined>(messages.length).fill(undefined);
  const until = Date.now() + LEASE_MS - CALL_TIMEOUT_MS;
  for (const { provider, breaker } of able) {
    const left = [...results.keys()].filter((i) => !isFinal(results[i]));
    // One call after another, as long as the claim holds for one more.
    if (left.length === 0 || Date.now() > until) break;
    const release = breaker.acquire();
    if (!release) continue;
    const startedAt = Date.now();
    const sent = await call(
      provider,
      left.map((i) => messages[i] as Message),
      attempt.signal,
    );
    release(showingOf(sent));
    for (const [outcome, count] of tally(sent)) events.providerCalled?.(provider.name, outcome, count, Date.now() - startedAt);
    const refusal = rest(breaker, sent);
    if (refusal) events.providerPaused?.(provider.name, refusal);
    for (const [k, one] of sent.entries()) {
      results[left[k] as number] = one.ok
        ? {
            ok: true,
            status: 'sent',
            provider: provider.name,
            ...(one.providerMessageId !== undefined && { providerMessageId: one.providerMessageId }),
          }
        : { ok: false, error: one.error, provider: provider.name, suppress: one.suppress };
    }
  }
  // Nobody was asked, or nobody takes our credentials: the message waits for somebody who does.
  return results.map((result) => (result === undefined || isMisconfigured(result) ? held(able) : result));
}

const isMisconfigured = (result: Delivered) => !result.ok && result.error.code === 'PROVIDER_MISCONFIGURED';
const isFinal = (result: Delivered | undefined) => result !== undefined && (result.ok || !TRANSIENT.has(result.error.code));

/** One call, within its time. */
async function call(provider: Provider, messages: readonly Message[], signal: AbortSignal): Promise<Sent[]> {
  const lost = (cause: unknown) =>
    messages.map((): Sent => ({ ok: false, error: new CarillonError('PROVIDER_OUTCOME_UNKNOWN', { cause }) }));
  // Not `AbortSignal.any`, which costs more than all else here and is kept by the signal of the worker.
  const limit = new AbortController();
  const end = () => limit.abort(signal.aborted ? signal.reason : new Error('The provider did not answer in time.'));
  const timer = setTimeout(end, CALL_TIMEOUT_MS);
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  try {
    const sent = await unlessAborted(provider.send(messages, limit.signal), limit.signal, GRACE_MS);
    // An answer that does not tell of each message tells of none.
    return sent?.length === messages.length ? sent : lost(limit.signal.reason);
  } catch (cause) {
    return lost(cause);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

function tally(sent: readonly Sent[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const one of sent) {
    const outcome = one.ok ? 'sent' : one.error.code;
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  return counts;
}

function held(able: readonly Guarded[]): Delivered {
  const retryAfter = able.length === 0 ? undefined : Math.min(...able.map(({ breaker }) => breaker.holdFor()));
  return { ok: false, error: new CarillonError('CHANNEL_HELD', { retryAfter: retryAfter ?? MISCONFIGURED_PAUSE_MS }) };
}

/** Takes an address that does not exist out of use: a device if it is still the same one, else a stop on the address. */
async function bury(result: Carried, item: ChannelItem, { definition, directory }: ProviderChannelOptions): Promise<void> {
  if (result.ok || result.error.code !== 'ADDRESS_UNREACHABLE') return;
  const to = addressOf(item);
  if (to.id !== undefined) await directory.pruneDevice(item.userId, to);
  else {
    const about = { reason: result.suppress ?? 'invalid', provider: result.provider ?? '' };
    await directory.suppress(definition.name as ChannelName, to.value, about);
  }
}

/** An address that does not exist is no case for trying again, once it is out of use. */
async function settled(result: Carried, item: ChannelItem, options: ProviderChannelOptions): Promise<Delivered> {
  if (result.ok || result.error.code !== 'ADDRESS_UNREACHABLE') return result;
  try {
    await bury(result, item, options);
  } catch (error) {
    // Tried again, for this one alone: the provider will say the same.
    return { ok: false, error: toCarillonError(error) };
  }
  return { ok: true, status: 'failed', reason: 'ADDRESS_UNREACHABLE', ...(result.provider !== undefined && { provider: result.provider }) };
}

/** An item as a provider is given it, without a link to unsubscribe. */
export function messageFor(item: ChannelItem): Message {
  const to = addressOf(item);
  const ref = to.id === undefined ? item.id : `${item.id}/${to.id}`;
  return { item, to, ref, tag: createHash('sha256').update(ref).digest('base64url').slice(0, TAG_CHARACTERS) };
}

function messageOf(item: ChannelItem, { definition, directory, publicUrl }: ProviderChannelOptions): Message {
  const message = messageFor(item);
  // Only mail has links to unsubscribe (RFC 8058): whoever has no use for one does not ask for it.
  if (item.required === true || publicUrl === undefined) return message;
  const about = {
    userId: item.userId,
    channel: definition.name as ChannelName,
    ...(item.category !== undefined && { category: item.category }),
  };
  return {
    ...message,
    get unsubscribeUrl() {
      return `${publicUrl}/unsubscribe/${directory.unsubscribeToken(about)}`;
    },
  };
}

/** The kinds of address a definition has. */
export function kindsOf(definition: ChannelDefinition): AddressKind[] {
  return Object.keys(definition.addresses) as AddressKind[];
}
