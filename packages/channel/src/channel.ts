import type { CarillonError, ChannelDefinition, ChannelItem, DeliveryStatus } from '@carillon/contracts';
import type { Deliveries, Settlement } from '@carillon/deliveries';
import { type Attempt, channelStage, runStage, type StageWorker, type StageWorkerOptions, type WorkerEvents } from '@carillon/queue';

/** How the delivery of one item ended. */
export type Delivered =
  | {
      readonly ok: true;
      readonly status: Extract<DeliveryStatus, 'sent' | 'delivered' | 'skipped'>;
      readonly reason?: string;
      readonly provider?: string;
      readonly providerMessageId?: string;
    }
  | { readonly ok: false; readonly error: CarillonError };

/**
 * What a channel's folder supplies. Pass the suite of `@carillon/channel/testing` and it is a channel.
 */
export interface Channel {
  readonly definition: ChannelDefinition;
  /**
   * Delivers the items of one job (at most `definition.itemsPerJob`) and answers for each, in order. Must be idempotent by item id: a job
   * whose worker died is delivered again. The error's verdict decides whether an item is tried again. What it throws counts for all items.
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

/** Runs a channel's worker until it is closed: takes jobs, delivers, settles the delivery records. @throws REDIS_UNAVAILABLE */
export function runChannel({ channel, deliveries, events = {}, ...options }: ChannelWorkerOptions): Promise<StageWorker> {
  const name = channel.definition.name as Settlement['channel'];
  const settle = async (steps: Settlement[]): Promise<(CarillonError | undefined)[]> => {
    const outcomes = await deliveries.settle(steps);
    const counts = new Map<DeliveryStatus, number>();
    for (const [i, { status }] of steps.entries()) if (outcomes[i]?.ok) counts.set(status, (counts.get(status) ?? 0) + 1);
    for (const [status, count] of counts) events.deliverySettled?.(name, status, count);
    return outcomes.map((outcome) => (outcome.ok ? undefined : outcome.error));
  };
  return runStage({
    ...options,
    definition: channelStage(channel.definition),
    events,
    async handle(items, attempt) {
      const results = await channel.deliver(items, attempt);
      const errors = results.map((result) => (result.ok ? undefined : result.error));
      const done = results.flatMap((result, i) => (result.ok ? [{ i, result }] : []));
      const steps = done.map(
        ({ i, result: { ok: _ok, ...rest } }): Settlement => ({
          id: (items[i] as ChannelItem).id,
          channel: name,
          attempts: attempt.number,
          ...rest,
        }),
      );
      // Delivered but not noted: tried again, which delivers nothing twice.
      (await settle(steps)).forEach((error, k) => {
        if (error) errors[(done[k] as { i: number }).i] = error;
      });
      return errors;
    },
    async giveUp(items, error, attempts) {
      const unsettled = await settle(items.map(({ id }) => ({ id, channel: name, status: 'failed', attempts, reason: error.code })));
      for (const failure of unsettled) if (failure) throw failure;
    },
  });
}
