import { createHash } from 'node:crypto';
import {
  type Address,
  type AddressKind,
  CarillonError,
  type ChannelDefinition,
  type ChannelItem,
  type ChannelName,
} from '@carillon/contracts';
import type { Directory } from '@carillon/directory';
import type { Attempt } from '@carillon/queue';
import pLimit from 'p-limit';
import { Breaker, type Showing } from './breaker.js';
import { unlessAborted } from './call.js';
import type { Channel, Delivered } from './channel.js';
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
  /** Takes the place of the providers for addresses that `isLive` says no to. */
  readonly sandbox: Provider;
  readonly isLive: (to: Address) => boolean;
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

/** How long a provider that refuses our credentials is left alone, ms. */
const MISCONFIGURED_PAUSE_MS = 60_000;
/** The longest a provider is left alone because it asks for it, ms; what waits is held, and asks again. */
const LONGEST_ASKED_PAUSE_MS = 10 * 60_000;
/** How long a provider whose time is over may take to tell what it knows, ms: one lost answer is no reason to forget the others of its call. */
const GRACE_MS = 500;
/** Characters of a tag: 132 bits of base64url, and within the 32 that Web Push allows a topic. */
const TAG_CHARACTERS = 22;

/** Surely not sent, and perhaps by another provider or later. */
const TRANSIENT = new Set<string>(['PROVIDER_UNAVAILABLE', 'PROVIDER_LIMITED', 'PROVIDER_MISCONFIGURED']);

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
 * A channel whose messages are carried by providers: asks the directory whether the address may still be written to, keeps to the channel's rate,
 * calls the first provider that is available, and gives what it surely did not send to the next.
 */
export function createProviderChannel(options: ProviderChannelOptions): Channel {
  const { definition, directory, rate, isLive } = options;
  const limit = pLimit(options.calls ?? Number.POSITIVE_INFINITY);
  const guarded = options.providers.map((provider) => ({ kinds: provider.kinds, of: guard(provider) }));
  const sandbox = [{ provider: options.sandbox, breaker: new Breaker() }];
  const candidates = (to: Address): readonly Guarded[] =>
    isLive(to) ? guarded.filter(({ kinds }) => kinds.includes(to.kind)).map(({ of }) => of(to)) : sandbox;

  return {
    definition,
    awaitEcho: options.awaitEcho,

    async admit(items, attempt) {
      const results = items.map((item): Delivered | undefined => {
        const able = candidates(addressOf(item));
        return able.some(({ breaker }) => breaker.isAvailable()) ? undefined : held(able);
      });
      const calls = results.filter((result) => result === undefined).length;
      if (calls > 0) await rate?.take(calls, attempt.signal);
      return results;
    },

    async permit(items) {
      const asked = items.map((item) => ({ userId: item.userId, channel: definition.name as ChannelName, to: addressOf(item) }));
      return (await directory.standing(asked)).map((outcome): Delivered | undefined => {
        if (!outcome.ok) return outcome;
        return outcome.value === undefined ? undefined : { ok: true, status: 'skipped', reason: outcome.value };
      });
    },

    async deliver(items, attempt) {
      const results = new Array<Delivered | undefined>(items.length).fill(undefined);
      for (const { able, positions } of byCandidates(items, candidates)) {
        const messages = positions.map((i) => messageOf(items[i] as ChannelItem, options));
        const carried = await limit(carry, able, messages, attempt, options.events);
        for (const [k, result] of carried.entries()) results[positions[k] as number] = result;
      }
      await Promise.all(results.map((result, i) => bury(result as Delivered, items[i] as ChannelItem, options)));
      return results.map((result) => settled(result as Delivered));
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
  candidates: (to: Address) => readonly Guarded[],
): { able: readonly Guarded[]; positions: number[] }[] {
  const groups: { able: readonly Guarded[]; positions: number[] }[] = [];
  for (const [i, item] of items.entries()) {
    const able = candidates(addressOf(item));
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
): Promise<Delivered[]> {
  const results = new Array<Delivered | undefined>(messages.length).fill(undefined);
  for (const { provider, breaker } of able) {
    const left = [...results.keys()].filter((i) => !isFinal(results[i]));
    if (left.length === 0) break;
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
    rest(provider, breaker, sent, events);
    for (const [k, one] of sent.entries()) {
      results[left[k] as number] = one.ok
        ? {
            ok: true,
            status: 'sent',
            provider: provider.name,
            ...(one.providerMessageId !== undefined && { providerMessageId: one.providerMessageId }),
          }
        : { ok: false, error: one.error, provider: provider.name };
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
    return (await unlessAborted(provider.send(messages, limit.signal), limit.signal, GRACE_MS)) ?? lost(limit.signal.reason);
  } catch (cause) {
    return lost(cause);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}

/** What one call shows of the provider's health. That it refuses a message or an address shows that it works. */
function showingOf(sent: readonly Sent[]): Showing {
  const codes = sent.map((one) => (one.ok ? 'sent' : one.error.code));
  if (codes.some((code) => !TRANSIENT.has(code) && code !== 'PROVIDER_OUTCOME_UNKNOWN')) return 'works';
  return codes.some((code) => code === 'PROVIDER_UNAVAILABLE' || code === 'PROVIDER_OUTCOME_UNKNOWN') ? 'fails' : 'nothing';
}

/** Leaves a provider alone that asks for it, or that does not take our credentials. */
function rest(provider: Provider, breaker: Breaker, sent: readonly Sent[], events: ProviderEvents): void {
  const errors = sent.flatMap((one) => (one.ok ? [] : [one.error]));
  const refused = errors.find(({ code }) => code === 'PROVIDER_MISCONFIGURED');
  // What took another message of the same call takes our credentials.
  if (refused && sent.every((one) => !one.ok)) {
    breaker.pause(MISCONFIGURED_PAUSE_MS);
    events.providerPaused?.(provider.name, refused);
    return;
  }
  const limited = errors.filter(({ code }) => code === 'PROVIDER_LIMITED');
  // A limit of one device or number is no limit of ours.
  if (limited.length < sent.length) return;
  const asked = Math.max(...limited.map(({ retryAfter = 0 }) => retryAfter));
  if (asked > 0) breaker.pause(Math.min(asked, LONGEST_ASKED_PAUSE_MS));
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
async function bury(result: Delivered, item: ChannelItem, { definition, directory }: ProviderChannelOptions): Promise<void> {
  if (result.ok || result.error.code !== 'ADDRESS_UNREACHABLE') return;
  const to = addressOf(item);
  if (to.id !== undefined) await directory.pruneDevice(item.userId, to);
  else await directory.suppress(definition.name as ChannelName, to.value, { reason: 'invalid', provider: result.provider ?? '' });
}

/** An address that does not exist is no case for trying again. */
function settled(result: Delivered): Delivered {
  if (result.ok || result.error.code !== 'ADDRESS_UNREACHABLE') return result;
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

/** Reads NOTIFICATION_DELIVERY_ALLOW: whether an address is on the list. */
export function allowed(list: string | undefined): (to: Address) => boolean {
  const patterns = (list ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .map((entry) => new RegExp(`^${entry.split('*').map(literally).join('.*')}$`, 'i'));
  return ({ value }) => patterns.some((pattern) => pattern.test(value));
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
