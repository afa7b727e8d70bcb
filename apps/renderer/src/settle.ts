import type { Audit } from '@carillon/audit';
import type { DeliveryStatus } from '@carillon/contracts';
import type { Deliveries, Settlement } from '@carillon/deliveries';

export interface SettleOptions {
  readonly deliveries: Pick<Deliveries, 'settle'>;
  readonly audit: Pick<Audit, 'note'>;
  readonly events: { deliverySettled?(channel: string, status: DeliveryStatus, count: number): void };
}

/** Notes steps of deliveries that the renderer takes itself, and answers how many were news. @throws REDIS_UNAVAILABLE, when what was noted is told */
export type Settle = (steps: readonly Settlement[]) => Promise<number>;

/** Steps after which there will be another. */
const OPEN = new Set<DeliveryStatus>(['pending', 'held', 'sending']);

/** What has ended is counted and audited. */
export function createSettle({ deliveries, audit, events }: SettleOptions): Settle {
  return async (steps) => {
    if (steps.length === 0) return 0;
    const outcomes = await deliveries.settle(steps);
    const noted = steps.filter((_, i) => outcomes[i]?.ok && outcomes[i].value === 'noted');
    const ended = new Map<string, { readonly about: Pick<Settlement, 'channel' | 'status'>; readonly ids: string[] }>();
    for (const { id, channel, status } of noted) {
      if (OPEN.has(status)) continue;
      const same = ended.get(`${channel} ${status}`) ?? { about: { channel, status }, ids: [] };
      ended.set(`${channel} ${status}`, same);
      same.ids.push(id);
    }
    for (const { about, ids } of ended.values()) {
      events.deliverySettled?.(about.channel, about.status, ids.length);
      audit.note({ actor: { type: 'system', name: 'renderer' }, action: 'delivery.settled', ids, about });
    }
    const failed = outcomes.find((outcome) => !outcome.ok);
    if (failed && !failed.ok) throw failed.error;
    return noted.length;
  };
}
