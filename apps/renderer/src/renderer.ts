import {
  type CarillonError,
  type ChannelItem,
  type ChannelName,
  channelDefinition,
  type DeliveryStatus,
  isDirect,
  type RenderItem,
  toCarillonError,
} from '@carillon/contracts';
import { type Begun, type Deliveries, type DeliveryRef, HOUSE, type Settlement } from '@carillon/deliveries';
import type { Directory, Recipient } from '@carillon/directory';
import {
  channelStage,
  createStageQueue,
  jobIdOf,
  partitionOf,
  queueName,
  renderStage,
  runStage,
  type StageQueue,
  type StageWorker,
  toJobs,
  type WorkerEvents,
} from '@carillon/queue';
import type { Outcome, Redis } from '@carillon/redis';
import type { Templates } from '@carillon/templates';
import type { Vault } from '@carillon/vault';
import { runReconciler } from './reconciler.js';
import { isWanted, routeAll } from './route.js';

/** Reports of a renderer. */
export interface RendererEvents extends WorkerEvents {
  templateRendered?(templateId: string, count: number): void;
  deliverySettled?(channel: string, status: DeliveryStatus, count: number): void;
}

export interface RendererOptions {
  readonly redis: Redis;
  readonly vault: Vault;
  readonly templates: Templates;
  readonly deliveries: Deliveries;
  readonly directory: Pick<Directory, 'recipients'>;
  readonly partitions: number;
  readonly events?: RendererEvents;
}

/** Render jobs of one partition worked on at once. Rendering is all CPU; more would only hold more jobs. */
const CONCURRENCY = 4;

/**
 * Runs a renderer until it is closed: each notification becomes one item per channel and address, rendered. What the user does not want, or where
 * there is no address, is skipped, and the other channels go. @throws REDIS_UNAVAILABLE
 */
export async function runRenderer(options: RendererOptions): Promise<StageWorker> {
  const { templates, deliveries, directory, partitions, events = {} } = options;
  const channelQueues = createChannelQueues(options);

  const enqueue = async (channel: ChannelName, items: ChannelItem[]) => {
    const stage = channelStage(channelDefinition(channel));
    for (let partition = 0; partition < partitions; partition++) {
      const mine = items.filter(({ userId }) => partitionOf(userId, partitions) === partition);
      if (mine.length === 0) continue;
      const queue = channelQueues.get(channel, partition);
      await Promise.all(toJobs(mine, stage).map((job) => queue.add(job, { jobId: jobIdOf(job) })));
    }
  };
  const settle = async (steps: readonly Settlement[]) => {
    if (steps.length === 0) return;
    for (const [i, outcome] of (await deliveries.settle(steps)).entries()) {
      if (!outcome.ok) throw outcome.error;
      const { channel, status } = steps[i] as Settlement;
      if (outcome.value === 'noted' && status !== 'pending') events.deliverySettled?.(channel, status, 1);
    }
  };

  const worker = await runStage<RenderItem>({
    ...options,
    definition: renderStage,
    concurrency: CONCURRENCY,
    async handle(items) {
      const errors = new Array<CarillonError | undefined>(items.length).fill(undefined);
      const rendered = new Map<ChannelName, ChannelItem[]>();
      const steps: Settlement[] = [];
      const used = new Map<string, number>();
      const [recipients, claims] = await Promise.all([directory.recipients(items.map(({ userId }) => userId)), claim(deliveries, items)]);
      for (const [i, item] of items.entries()) {
        try {
          const recipient = recipients[i] as Outcome<Recipient>;
          if (!recipient.ok) throw recipient.error;
          const template = await templates.version(item.templateId, item.templateVersion);
          const wanted = item.channels.filter((channel) => isWanted(claims.get(`${item.id} ${channel}`)));
          for (const [channel, routed] of routeAll(template, item, wanted, recipient.value)) {
            steps.push(...routed.steps);
            const list = rendered.get(channel) ?? [];
            list.push(...routed.items);
            rendered.set(channel, list);
          }
          used.set(item.templateId, (used.get(item.templateId) ?? 0) + 1);
        } catch (error) {
          errors[i] = toCarillonError(error);
        }
      }
      for (const [templateId, count] of used) events.templateRendered?.(templateId, count);
      // Addresses are in the record before they are worked on, so that a cancellation finds them.
      await settle(steps);
      await Promise.all([...rendered].map(([channel, made]) => enqueue(channel, made)));
      return errors;
    },
    async giveUp(items, error, attempts) {
      const failed: Settlement[] = [];
      for (const { id } of items) {
        // What a worker is at by now is the worker's to settle.
        for (const ref of await recordedDeliveries(deliveries, id)) {
          // What cannot be rendered was never handed on, so the claim is still the renderer's own.
          const by = isOwnFault(error) && isDirect(channelDefinition(ref.channel)) ? HOUSE : undefined;
          failed.push({ ...ref, status: 'failed', attempts, reason: error.code, by });
        }
      }
      await settle(failed);
    },
  });

  const reconciler = await runReconciler(options);
  return {
    async close(deadlineMs) {
      await reconciler.close();
      await worker.close(deadlineMs);
      await channelQueues.close();
    },
  };
}

/** How long a claim holds, ms: longer than the way to the inbox takes. */
const LEASE_MS = 20_000;

/**
 * Claims the deliveries that go to the user itself, by id and channel: there is always an address, the next stage follows at once, and claimed along with
 * the look into the directory they cost no round trip.
 */
async function claim(deliveries: Deliveries, items: readonly RenderItem[]): Promise<Map<string, Outcome<Begun>>> {
  const claims = items.flatMap(({ id, channels }) =>
    channels
      .filter((channel) => isDirect(channelDefinition(channel)))
      .map((channel) => ({ id, channel, attempts: 1, by: HOUSE, lease: LEASE_MS, open: 'ours' as const })),
  );
  const begun = await deliveries.begin(claims);
  return new Map(claims.map(({ id, channel }, k) => [`${id} ${channel}`, begun[k] as Outcome<Begun>]));
}

/** Whether items failed for what they are, before anything of them was handed on. */
const isOwnFault = ({ code, verdict }: CarillonError) => verdict === 'never' && code !== 'JOB_CRASHED_WORKER';

/** The deliveries of a notification; none once its record is gone. */
async function recordedDeliveries(deliveries: Deliveries, id: string): Promise<DeliveryRef[]> {
  try {
    const record = await deliveries.get(id);
    return record.deliveries.map(({ channel, address }) => ({
      id,
      channel,
      address: address ?? undefined,
    }));
  } catch (error) {
    if (toCarillonError(error).code === 'NOTIFICATION_NOT_FOUND') return [];
    throw error;
  }
}

/** Queues of all channels and partitions, each opened when it is first needed. */
function createChannelQueues(options: RendererOptions) {
  const open = new Map<string, StageQueue<ChannelItem>>();
  return {
    get(channel: ChannelName, partition: number): StageQueue<ChannelItem> {
      const name = queueName(channel, partition);
      const queue = open.get(name) ?? createStageQueue(options, channelStage(channelDefinition(channel)), name);
      open.set(name, queue);
      return queue;
    },
    async close() {
      await Promise.all([...open.values()].map(({ queue }) => queue.close()));
    },
  };
}
