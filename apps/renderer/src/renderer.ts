import {
  type CarillonError,
  type ChannelItem,
  type ChannelName,
  channelDefinition,
  type DeliveryStatus,
  type RenderItem,
  toCarillonError,
} from '@carillon/contracts';
import type { Deliveries, Settlement } from '@carillon/deliveries';
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
import type { Redis } from '@carillon/redis';
import type { Templates } from '@carillon/templates';
import type { Vault } from '@carillon/vault';

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
  readonly partitions: number;
  readonly events?: RendererEvents;
}

/** Render jobs of one partition worked on at once. Rendering is all CPU; more would only hold more jobs. */
const CONCURRENCY = 4;

/** Runs a renderer until it is closed: each notification becomes one item per channel, rendered. @throws REDIS_UNAVAILABLE */
export async function runRenderer(options: RendererOptions): Promise<StageWorker> {
  const { templates, deliveries, partitions, events = {} } = options;
  const channelQueues = createChannelQueues(options);

  const enqueue = async (channel: ChannelName, items: ChannelItem[]) => {
    const { itemsPerJob } = channelDefinition(channel);
    for (let partition = 0; partition < partitions; partition++) {
      const mine = items.filter(({ userId }) => partitionOf(userId, partitions) === partition);
      if (mine.length === 0) continue;
      const queue = channelQueues.get(channel, partition);
      await Promise.all(toJobs(mine, itemsPerJob).map((job) => queue.add(job, { jobId: jobIdOf(job) })));
    }
  };

  const worker = await runStage<RenderItem>({
    ...options,
    definition: renderStage,
    concurrency: CONCURRENCY,
    async handle(items) {
      const errors = new Array<CarillonError | undefined>(items.length).fill(undefined);
      const rendered = new Map<ChannelName, ChannelItem[]>();
      const used = new Map<string, number>();
      for (const [i, item] of items.entries()) {
        try {
          for (const [channel, made] of await render(templates, item)) {
            const list = rendered.get(channel);
            if (list) list.push(made);
            else rendered.set(channel, [made]);
          }
          used.set(item.templateId, (used.get(item.templateId) ?? 0) + 1);
        } catch (error) {
          errors[i] = toCarillonError(error);
        }
      }
      for (const [templateId, count] of used) events.templateRendered?.(templateId, count);
      await Promise.all([...rendered].map(([channel, made]) => enqueue(channel, made)));
      return errors;
    },
    async giveUp(items, error, attempts) {
      const steps: Settlement[] = [];
      for (const item of items) {
        const channels = 'channels' in item ? item.channels : await recordedChannels(deliveries, item.id);
        steps.push(...channels.map((channel) => ({ id: item.id, channel, status: 'failed' as const, attempts, reason: error.code })));
      }
      for (const outcome of await deliveries.settle(steps)) if (!outcome.ok) throw outcome.error;
      for (const { channel, status } of steps) events.deliverySettled?.(channel, status, 1);
    },
  });

  return {
    async close(deadlineMs) {
      await worker.close(deadlineMs);
      await channelQueues.close();
    },
  };
}

/** The channels of a notification whose job cannot be read; none once its record is gone. */
async function recordedChannels(deliveries: Deliveries, id: string): Promise<ChannelName[]> {
  try {
    return (await deliveries.get(id)).deliveries.map(({ channel }) => channel);
  } catch (error) {
    if (toCarillonError(error).code === 'NOTIFICATION_NOT_FOUND') return [];
    throw error;
  }
}

/** One notification, rendered for each of its channels with the version it was checked against. @throws TEMPLATE_NOT_FOUND, RENDER_FAILED */
async function render(templates: Templates, item: RenderItem): Promise<[ChannelName, ChannelItem][]> {
  const template = await templates.version(item.templateId, item.templateVersion);
  const { data, templateVersion: _version, ...rest } = item;
  return item.channels.map((channel) => {
    const definition = channelDefinition(channel);
    const content = template.render(definition.content, data);
    return [channel, definition.carriesData ? { ...rest, content, data } : { ...rest, content }];
  });
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
