import { type Audit, noAudit } from '@carillon/audit';
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
import { PII_POLICY_DEFAULT, type PiiDetector, type PiiPolicy } from '@carillon/redaction';
import type { Outcome, Redis } from '@carillon/redis';
import type { CompiledTemplate, Templates } from '@carillon/templates';
import type { Vault } from '@carillon/vault';
import { runReconciler } from './reconciler.js';
import { isWanted, routeAll } from './route.js';
import { createSettle } from './settle.js';
import { createTripwire, type TripwireEvents } from './tripwire.js';

/** Reports of a renderer. */
export interface RendererEvents extends WorkerEvents, Pick<TripwireEvents, 'piiDetected'> {
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
  /** What is done about personal data that is found in a message on its way out of the house; `PII_POLICY_DEFAULT` if absent. */
  readonly piiPolicy?: PiiPolicy;
  /** What finds it; the built-in detector if absent, or where this one fails or takes over a second for a text. */
  readonly detector?: PiiDetector;
  /** Where it is noted what became of deliveries that end here, and that something was found, never what; nowhere if absent. */
  readonly audit?: Pick<Audit, 'note'>;
  readonly events?: RendererEvents;
}

/** An item that can be rendered, by its place in the job. */
interface Wanted {
  readonly i: number;
  readonly template: CompiledTemplate;
  readonly item: RenderItem;
  readonly channels: readonly ChannelName[];
  readonly recipient: Recipient;
}

/** Render jobs of one partition worked on at once. Rendering is all CPU; more would only hold more jobs. */
const CONCURRENCY = 4;

/**
 * Runs a renderer until it is closed: each notification becomes one item per channel and address, rendered. What the user does not want, or where
 * there is no address, is skipped, and the other channels go. @throws REDIS_UNAVAILABLE
 */
export async function runRenderer(options: RendererOptions): Promise<StageWorker> {
  const { deliveries, partitions, events = {} } = options;
  const channelQueues = createChannelQueues(options);
  const { piiPolicy: policy = PII_POLICY_DEFAULT, detector, audit = noAudit } = options;
  const tripwire = createTripwire({ policy, detector, audit, events });

  const enqueue = async (channel: ChannelName, items: ChannelItem[]) => {
    const stage = channelStage(channelDefinition(channel));
    for (let partition = 0; partition < partitions; partition++) {
      const mine = items.filter(({ userId }) => partitionOf(userId, partitions) === partition);
      if (mine.length === 0) continue;
      const queue = channelQueues.get(channel, partition);
      await Promise.all(toJobs(mine, stage).map((job) => queue.add(job, { jobId: jobIdOf(job) })));
    }
  };
  const settle = createSettle({ deliveries, audit, events });

  const worker = await runStage<RenderItem>({
    ...options,
    definition: renderStage,
    concurrency: CONCURRENCY,
    async handle(items) {
      const { errors, wanted } = await look(options, items);
      // All at once, since a detector may be far away; what comes of them is taken in order.
      const routes = await Promise.all(
        wanted.map(({ i, template, item, channels, recipient }) =>
          routeAll(template, item, channels, recipient, tripwire).catch((error) => {
            errors[i] = toCarillonError(error);
            return undefined;
          }),
        ),
      );
      const made = routes.flatMap((route) => route ?? []);
      const used = new Map<string, number>();
      for (const [k, { item }] of wanted.entries()) if (routes[k]) used.set(item.templateId, (used.get(item.templateId) ?? 0) + 1);
      for (const [templateId, count] of used) events.templateRendered?.(templateId, count);
      // Addresses are in the record before they are worked on, so that a cancellation finds them.
      await settle(made.flatMap(([, { steps }]) => steps));
      const rendered = new Map<ChannelName, ChannelItem[]>();
      for (const [channel, routed] of made) {
        const list = rendered.get(channel) ?? [];
        list.push(...routed.items);
        rendered.set(channel, list);
      }
      await Promise.all([...rendered].map(([channel, list]) => enqueue(channel, list)));
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

/** Looks up what rendering needs, and claims what is claimed here; what cannot be rendered has an error in its place. */
async function look({ directory, deliveries, templates }: RendererOptions, items: readonly RenderItem[]) {
  const errors = new Array<CarillonError | undefined>(items.length).fill(undefined);
  const wanted: Wanted[] = [];
  const [recipients, claims] = await Promise.all([directory.recipients(items.map(({ userId }) => userId)), claim(deliveries, items)]);
  for (const [i, item] of items.entries()) {
    try {
      const recipient = recipients[i] as Outcome<Recipient>;
      if (!recipient.ok) throw recipient.error;
      const template = await templates.version(item.templateId, item.templateVersion);
      const channels = item.channels.filter((channel) => isWanted(claims.get(`${item.id} ${channel}`)));
      wanted.push({ i, template, item, channels, recipient: recipient.value });
    } catch (error) {
      errors[i] = toCarillonError(error);
    }
  }
  return { errors, wanted };
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
