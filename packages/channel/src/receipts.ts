import { type Audit, noAudit } from '@carillon/audit';
import { CarillonError, type ChannelName, notificationIdSchema } from '@carillon/contracts';
import type { Deliveries, DeliveryRef, Engagement, ReceivedStep } from '@carillon/deliveries';
import type { Directory } from '@carillon/directory';
import type { Vault } from '@carillon/vault';
import type { Receipt } from './provider.js';

export interface ReceiptParts {
  readonly deliveries: Pick<Deliveries, 'heard' | 'receive' | 'get'>;
  readonly directory: Pick<Directory, 'suppress' | 'unsuppress' | 'unsubscribe'>;
  readonly vault: Pick<Vault, 'person'>;
  readonly events?: {
    /** `what` is a status or what the recipient did. */
    receiptHeard?(channel: string, what: string): void;
  };
  /** Hears which reports were taken; nobody unless told. */
  readonly audit?: Audit | undefined;
}

/** How long a report that lifts a stop is known, ms: whoever overheard it may send it again, when the recipient has long stopped us anew. */
const START_KNOWN_MS = 400 * 24 * 3600 * 1000;

/** Takes what a provider reports of a channel's deliveries. @throws REDIS_UNAVAILABLE: have it sent again */
export type Receive = (channel: ChannelName, provider: string, receipts: readonly Receipt[]) => Promise<void>;

/**
 * Makes what takes receipts: notes them in the delivery records, forward only, and stops addresses and categories. What was heard
 * before, or is of a notification that is not known, changes nothing.
 */
export function createReceive({ deliveries, directory, vault, events = {}, audit = noAudit }: ReceiptParts): Receive {
  const act = async (channel: ChannelName, provider: string, { receipt, ref }: Heard) => {
    const { address, suppress, unsuppress, unsubscribed } = receipt;
    if (address !== undefined && suppress !== undefined) await directory.suppress(channel, address, { reason: suppress, provider });
    if (address !== undefined && unsuppress) await directory.unsuppress(channel, address);
    if (!unsubscribed || ref === undefined) return;
    const record = await deliveries.get(ref.id).catch((error) => {
      if (error instanceof CarillonError && error.code === 'NOTIFICATION_NOT_FOUND') return undefined;
      throw error;
    });
    if (!record) return;
    const { userId, category } = record;
    await directory.unsubscribe({
      userId,
      channel,
      ...(category !== null && { category: (await vault.person(userId, 'leave')).open('record', record.id, category) }),
    });
  };

  return async (channel, provider, receipts) => {
    const all = receipts.map((receipt): Heard => ({ receipt, ref: refOf(channel, receipt.ref) }));
    const marks = all.map(({ receipt, ref }) => ({ id: ref?.id ?? '', eventId: receipt.eventId, provider }));
    const heard = await deliveries.heard(marks);
    const news = all.filter((_, i) => !heard[i]);
    // First what must not be lost; the mark that it was heard comes last, so that a failure half way has it repeated.
    for (const one of news) await act(channel, provider, one);
    const outcomes = await deliveries.receive(news.map((one) => stepOf(provider, one, channel)));
    for (const [i, outcome] of outcomes.entries()) {
      if (!outcome.ok) throw outcome.error;
      const one = news[i] as Heard;
      if (outcome.value) events.receiptHeard?.(channel, whatOf(one.receipt) as string);
      if (outcome.value || stops(one.receipt)) noteTaken(audit, channel, provider, one);
    }
  };
}

interface Heard {
  readonly receipt: Receipt;
  readonly ref: DeliveryRef | undefined;
}

/** The delivery a message's `ref` names; undefined for what is none of ours. */
function refOf(channel: ChannelName, ref: string | undefined): DeliveryRef | undefined {
  const [id, address, ...more] = ref?.split('/') ?? [];
  if (id === undefined || more.length > 0 || !notificationIdSchema.safeParse(id).success) return undefined;
  if (address === undefined) return { id, channel };
  return /^[\w-]{1,64}$/.test(address) ? { id, channel, address } : undefined;
}

/** What a receipt is noted as. */
function whatOf({ status, engagement, suppress, unsubscribed }: Receipt) {
  return status ?? engagement ?? (suppress === 'complaint' ? 'complained' : unsubscribed ? 'unsubscribed' : undefined);
}

/** Whether a report changes what may be sent to an address or a person, even if its delivery is not known. */
function stops({ address, suppress, unsuppress, unsubscribed }: Receipt): boolean {
  return (address !== undefined && (suppress !== undefined || unsuppress === true)) || unsubscribed === true;
}

function noteTaken(audit: Audit, channel: ChannelName, name: string, { receipt, ref }: Heard): void {
  const status = whatOf(receipt) ?? (receipt.unsuppress ? 'unsuppressed' : 'suppressed');
  audit.note({
    actor: { type: 'system', name },
    action: 'receipt.taken',
    ...(ref && { ids: [ref.id] }),
    about: { channel, status },
  });
}

function stepOf(provider: string, { receipt, ref }: Heard, channel: ChannelName): ReceivedStep {
  const { eventId, at, status, reason, providerMessageId } = receipt;
  const what = whatOf(receipt);
  return {
    ...(ref ?? { id: '', channel }),
    eventId,
    at,
    provider,
    // With neither, such as a STOP, it is only known to have been heard.
    ...(status !== undefined ? { status } : what !== undefined && { engagement: what as Engagement }),
    ...(receipt.unsuppress && { knownFor: START_KNOWN_MS }),
    ...(reason !== undefined && { reason }),
    ...(providerMessageId !== undefined && { providerMessageId }),
  };
}
