import type { ChannelName, DeliveryStatus } from '@carillon/contracts';
import {
  type Delivery,
  type DeliveryRef,
  type Engagement,
  engagements,
  type NewRecord,
  type NotificationRecord,
  type StepDetail,
} from './deliveries.js';
import { deliveryRank, OPEN, rollUp } from './roll-up.js';

/*
 * A record is a text of lines: a first line of JSON that tells what it is about, then a line per step, in the order in which
 * they came: `<channel>[/<address>]:<status> <json>`, `<channel>[/<address>]:opened <json>`, or `read`.
 */

/** The first line of a record. */
type About = Pick<NewRecord, 'userId' | 'templateId' | 'templateVersion' | 'channels' | 'category' | 'createdAt'>;

/** The JSON of a step. */
export interface Step extends StepDetail {
  /** ms since the epoch. */
  readonly at: number;
  /** Whose claim it is, or was. */
  readonly by?: string;
  /** Of `sending`: when the claim counts as abandoned, ms since the epoch. */
  readonly until?: number;
}

/** The line that says that the notification was read. */
export const READ = 'read';

/** A delivery's name in its record. */
export const nameOf = ({ channel, address }: Omit<DeliveryRef, 'id'>): string =>
  address === undefined ? channel : `${channel}/${address}`;

/** What a name names. */
export function refOf(id: string, name: string): DeliveryRef {
  const [channel, address] = name.split('/') as [ChannelName, string?];
  return address === undefined ? { id, channel } : { id, channel, address };
}

export function firstLine({ userId, templateId, templateVersion, channels, category, createdAt }: NewRecord): string {
  const about: About = { userId, templateId, templateVersion, channels, ...(category !== undefined && { category }), createdAt };
  return JSON.stringify(about);
}

export function stepLine(ref: Omit<DeliveryRef, 'id'>, what: DeliveryStatus | Engagement, step: Step): string {
  return `${nameOf(ref)}:${what} ${JSON.stringify(step)}`;
}

const isEngagement = (what: DeliveryStatus | Engagement): what is Engagement => engagements.includes(what as Engagement);

interface Line {
  readonly name: string;
  readonly what: DeliveryStatus | Engagement;
  readonly json: string;
}

/** Undefined for steps of a record whose first line never came, or is gone with its retention. */
export function toRecord(id: string, text: string): NotificationRecord | undefined {
  const lines = text.split('\n');
  const first = lines.find((line) => line.startsWith('{'));
  if (first === undefined) return undefined;
  const { userId, templateId, templateVersion, channels, category = null, createdAt } = JSON.parse(first) as About;
  const steps = lines.flatMap((line): Line[] => {
    const [, name, what, json] = /^([\w/-]+):([a-z]+) (.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name, what: what as Line['what'], json: json as string }];
  });
  const deliveries = channels.flatMap((channel) => {
    const named = new Set(steps.flatMap(({ name }) => (name.startsWith(`${channel}/`) ? [name] : [])));
    // What the renderer has not come to yet, or found no address for, is one delivery of the channel as a whole.
    return named.size === 0
      ? [toDelivery(channel, channel, createdAt, steps)]
      : [...named].map((name) => toDelivery(name, channel, createdAt, steps));
  });
  const status = rollUp(
    // What is left unknown to a person waits for nobody else.
    deliveries.map((delivery) => (delivery.reason === 'OUTCOME_UNKNOWN' ? 'failed' : delivery.status)),
    lines.includes(READ),
  );
  return { id, userId, templateId, templateVersion, category, status, createdAt, deliveries };
}

/** Reads a delivery's steps in the order in which they came; one that is no step forward leaves the status as it is. */
function toDelivery(name: string, channel: ChannelName, createdAt: number, lines: readonly Line[]): Delivery {
  let status: DeliveryStatus = 'pending';
  let last: Step = { at: createdAt, attempts: 0 };
  let resent = false;
  const times: Delivery['times'] = { pending: createdAt };
  const engagement: Delivery['engagement'] = {};
  let seen = false;
  for (const line of lines) {
    // What was canceled before its addresses were known was canceled for each of them.
    const befallsAll = line.name === channel && line.what === 'canceled' && !seen;
    if (line.name !== name && !befallsAll) continue;
    seen = true;
    const step = JSON.parse(line.json) as Step;
    if (isEngagement(line.what)) {
      engagement[line.what] ??= step.at;
      continue;
    }
    times[line.what] ??= step.at;
    resent ||= step.resent === true;
    if (goesOn(status, line.what)) [status, last] = [line.what, OPEN.includes(line.what) ? step : toLast(step, last)];
  }
  const { at, attempts, reason = null, provider = null, providerMessageId = null } = last;
  const address = name === channel ? null : name.slice(channel.length + 1);
  return { channel, address, status, reason, attempts, provider, providerMessageId, resent, at, times, engagement };
}

/** Whether a step moves a delivery on. What failed is open again once somebody tries it again; what ended otherwise moves further only. */
function goesOn(from: DeliveryStatus, to: DeliveryStatus): boolean {
  if (OPEN.includes(from)) return true;
  if (OPEN.includes(to)) return from === 'failed' && to === 'sending';
  return deliveryRank[to] > deliveryRank[from] || to === from;
}

/** A receipt may leave out who sent the message under which id, and counts no tries. */
function toLast(step: Step, { attempts, provider, providerMessageId }: Step): Step {
  return {
    ...(provider !== undefined && { provider }),
    ...(providerMessageId !== undefined && { providerMessageId }),
    ...step,
    attempts: Math.max(step.attempts, attempts),
  };
}
