import {
  type Address,
  type CarillonError,
  type ChannelItem,
  type ChannelName,
  channelDefinition,
  type DeliveryStatus,
  type RenderItem,
  toCarillonError,
} from '@carillon/contracts';
import type { Begun, Deliveries, Settlement } from '@carillon/deliveries';
import { addressesFor, type Directory, type Recipient, wants } from '@carillon/directory';
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
import type { CompiledTemplate, Rendered, Templates } from '@carillon/templates';
import type { Vault } from '@carillon/vault';
import { runReconciler } from './reconciler.js';

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
    for (const outcome of await deliveries.settle(steps)) if (!outcome.ok) throw outcome.error;
    for (const { channel, status } of steps) if (status !== 'pending') events.deliverySettled?.(channel, status, 1);
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
          for (const channel of item.channels) {
            const begun = claims.get(`${item.id} ${channel}`);
            if (begun?.ok === false) throw begun.error;
            if (begun?.value.state === 'ended') continue;
            const routed = route(template, item, channel, recipient.value);
            steps.push(...routed.steps);
            rendered.set(channel, [...(rendered.get(channel) ?? []), ...routed.items]);
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
      for (const item of items) {
        const channels = 'channels' in item ? item.channels : await recordedChannels(deliveries, item.id);
        failed.push(...channels.map((channel) => ({ id: item.id, channel, status: 'failed' as const, attempts, reason: error.code })));
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
    channels.filter(isDirect).map((channel) => ({ id, channel, attempts: 1, lease: LEASE_MS, open: 'ours' as const })),
  );
  const begun = await deliveries.begin(claims);
  return new Map(claims.map(({ id, channel }, k) => [`${id} ${channel}`, begun[k] as Outcome<Begun>]));
}

const isDirect = (channel: ChannelName) => channelDefinition(channel).addresses.user !== undefined;

/** What one notification becomes on one channel. */
interface Routed {
  readonly items: ChannelItem[];
  readonly steps: Settlement[];
}

/** One notification on one channel: wanted? where to? saying what? @throws RENDER_FAILED */
function route(template: CompiledTemplate, item: RenderItem, channel: ChannelName, recipient: Recipient): Routed {
  const { required } = template.definition;
  const settled = (status: 'skipped' | 'failed', reason: string): Routed => ({
    items: [],
    steps: [{ id: item.id, channel, status, attempts: 0, reason }],
  });
  if (!wants(recipient.preferences, { channel, category: item.category, required })) return settled('skipped', 'preference');
  const definition = channelDefinition(channel);
  const found = addressesFor(definition, item.userId, recipient, item.inline);
  if ('none' in found) return settled('skipped', found.none);
  try {
    const said = template.render(definition, item.data, { ...recipient.profile, url: item.url });
    const items = found.addresses.map((to) => toItem(item, said, to, definition.carriesData, required));
    const steps = found.addresses.flatMap((to): Settlement[] =>
      to.id === undefined ? [] : [{ id: item.id, channel, address: to.id, status: 'pending', attempts: 0 }],
    );
    return { items, steps };
  } catch (thrown) {
    const error = toCarillonError(thrown);
    // Of no concern to the other channels.
    if (error.code === 'CONTENT_TOO_LARGE') return settled('failed', error.code);
    throw error;
  }
}

function toItem(item: RenderItem, said: Rendered, to: Address, carriesData: boolean, required: boolean | undefined): ChannelItem {
  const claimedAt = Date.now();
  const { data, templateVersion: _version, inline: _inline, ...rest } = item;
  return {
    ...rest,
    ...said,
    ...(to.kind === 'user' ? { claimedAt } : { to }),
    ...(required && { required }),
    ...(carriesData && { data }),
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
