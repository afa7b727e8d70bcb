import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { within } from './deadline.js';

/** Jobs in one state of one queue. */
export interface QueueLength {
  readonly queue: string;
  readonly state: string;
  readonly length: number;
}

/** What happens in a process, as events. Pass codes, names and counts of our own, never anything a user wrote. */
export interface Metrics {
  /** A job of `items` notifications was worked off in `ms`. */
  jobFinished(stage: string, items: number, ms: number): void;
  itemFailed(stage: string, code: string): void;
  deliverySettled(channel: string, status: string, count: number): void;
  templateRendered(templateId: string, count: number): void;
  /** Personal data of one kind was found in a rendered message, so often, and this was done about it. */
  piiDetected(channel: string, entity: string, action: string, count: number): void;
  /** `count` messages were given to a provider in one call of `ms`, with one outcome: `sent` or an error's code. */
  providerCalled(provider: string, outcome: string, count: number, ms: number): void;
  /** A provider told of a delivery: a status, or what the recipient did. */
  receiptHeard(channel: string, what: string): void;
  connectionOpened(): void;
  /** `code` is the close code. */
  connectionClosed(code: number): void;
  connectionError(code: string): void;
  /** `type` is a known type of frame, or `unknown`. */
  frameReceived(type: string): void;
  framesSent(count: number): void;
  /** A handshake was refused: `origin`, `waiting` and `network` (too many of one network), or `handshakes` (too many of all). */
  handshakeRefused(reason: string): void;
  /** `where` is the door: `http` (API key), `me` (client token), `admin` (signing in), `link` (a one-time link), `webhook` (a provider's signature), `socket`. */
  authenticationFailed(where: string, code: string): void;
  /** Has queue lengths read whenever metrics are rendered. A reading that fails or takes over 2 s is left out. Ends by the function returned. */
  watchQueues(read: () => Promise<readonly QueueLength[]>): () => void;
}

/** Metrics that Prometheus can read. */
export interface PrometheusMetrics extends Metrics {
  /** All metrics in Prometheus' text format. Never throws. */
  render(): Promise<string>;
  /** The media type of what `render` gives. */
  readonly contentType: string;
}

/** Takes events and does nothing. */
export const noMetrics: Metrics = {
  jobFinished() {},
  itemFailed() {},
  deliverySettled() {},
  templateRendered() {},
  piiDetected() {},
  providerCalled() {},
  receiptHeard() {},
  connectionOpened() {},
  connectionClosed() {},
  connectionError() {},
  frameReceived() {},
  framesSent() {},
  handshakeRefused() {},
  authenticationFailed() {},
  watchQueues: () => () => {},
};

/** Values one label may have; further ones are counted as `other`. Prometheus keeps a series for each, for ever. */
const LABEL_VALUES_MAX = 200;
/** Milliseconds a reading of queue lengths may take: scrapes give up after 10 s by default. */
const READ_MAX = 2000;
/** Seconds; a batch in memory takes about one millisecond, a provider's call up to half a minute. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Lets the first values through and makes `other` of the rest. */
function bounded(): (value: string) => string {
  const seen = new Set<string>();
  return (value) => {
    if (seen.has(value)) return value;
    if (seen.size >= LABEL_VALUES_MAX) return 'other';
    seen.add(value);
    return value;
  };
}

/** Metrics with a registry of their own, and those of the process (CPU, memory, event loop). Names follow Prometheus' conventions. */
export function createMetrics(): PrometheusMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return {
    ...work(registry),
    ...providers(registry),
    ...sockets(registry),
    watchQueues: queues(registry),
    render: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

function counter<L extends string>(registry: Registry, name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
  return new Counter({ name: `carillon_${name}`, help, labelNames: [...labelNames], registers: [registry] });
}

function work(
  registry: Registry,
): Pick<Metrics, 'jobFinished' | 'itemFailed' | 'deliverySettled' | 'templateRendered' | 'piiDetected' | 'authenticationFailed'> {
  const processed = counter(registry, 'items_processed_total', 'Notifications worked off, by stage.', ['stage']);
  const failures = counter(registry, 'item_failures_total', 'Notifications that failed at a stage, by error code.', ['stage', 'code']);
  const settled = counter(registry, 'deliveries_settled_total', 'Deliveries that reached a status, by channel.', ['channel', 'status']);
  const rendered = counter(registry, 'templates_rendered_total', 'Notifications rendered, by template.', ['template']);
  const detected = counter(
    registry,
    'pii_detected_total',
    'Personal data found in rendered messages, by kind and what was done about it.',
    ['channel', 'entity', 'action'],
  );
  const refused = counter(registry, 'authentication_failures_total', 'Callers and clients turned away, by door and error code.', [
    'where',
    'code',
  ]);
  const duration = new Histogram({
    name: 'carillon_job_duration_seconds',
    help: 'Time to work off one job, by stage.',
    labelNames: ['stage'],
    buckets: DURATION_BUCKETS,
    registers: [registry],
  });
  const template = bounded();
  const label = bounded();
  return {
    jobFinished: (stage, items, ms) => {
      processed.inc({ stage: label(stage) }, items);
      duration.observe({ stage: label(stage) }, ms / 1000);
    },
    itemFailed: (stage, code) => failures.inc({ stage: label(stage), code: label(code) }),
    deliverySettled: (channel, status, count) => settled.inc({ channel: label(channel), status: label(status) }, count),
    templateRendered: (templateId, count) => rendered.inc({ template: template(templateId) }, count),
    piiDetected: (channel, entity, action, count) =>
      detected.inc({ channel: label(channel), entity: label(entity), action: label(action) }, count),
    authenticationFailed: (where, code) => refused.inc({ where: label(where), code: label(code) }),
  };
}

function providers(registry: Registry): Pick<Metrics, 'providerCalled' | 'receiptHeard'> {
  const calls = counter(registry, 'provider_messages_total', 'Messages given to providers, by outcome.', ['provider', 'outcome']);
  const receipts = counter(registry, 'receipts_total', 'What providers told of deliveries: statuses, and what recipients did.', [
    'channel',
    'what',
  ]);
  const duration = new Histogram({
    name: 'carillon_provider_call_duration_seconds',
    help: 'Time of one call to a provider.',
    labelNames: ['provider'],
    buckets: DURATION_BUCKETS,
    registers: [registry],
  });
  const label = bounded();
  return {
    providerCalled: (provider, outcome, count, ms) => {
      calls.inc({ provider: label(provider), outcome: label(outcome) }, count);
      duration.observe({ provider: label(provider) }, ms / 1000);
    },
    receiptHeard: (channel, what) => receipts.inc({ channel: label(channel), what: label(what) }),
  };
}

function sockets(
  registry: Registry,
): Pick<Metrics, 'connectionOpened' | 'connectionClosed' | 'connectionError' | 'frameReceived' | 'framesSent' | 'handshakeRefused'> {
  const open = new Gauge({ name: 'carillon_connections', help: 'Sockets open now.', registers: [registry] });
  const closed = counter(registry, 'connections_closed_total', 'Sockets closed, by close code.', ['code']);
  const errors = counter(registry, 'connection_errors_total', 'Errors told to or met on sockets, by code.', ['code']);
  const received = counter(registry, 'frames_received_total', 'Frames clients sent, by type.', ['type']);
  const sent = counter(registry, 'frames_sent_total', 'Frames sent to clients.');
  const refused = counter(registry, 'handshakes_refused_total', 'Handshakes refused, by reason.', ['reason']);
  const closeCode = bounded();
  const errorCode = bounded();
  const frameType = bounded();
  return {
    connectionOpened: () => open.inc(),
    connectionClosed: (code) => {
      open.dec();
      closed.inc({ code: closeCode(String(code)) });
    },
    connectionError: (code) => errors.inc({ code: errorCode(code) }),
    frameReceived: (type) => received.inc({ type: frameType(type) }),
    framesSent: (count) => sent.inc(count),
    handshakeRefused: (reason) => refused.inc({ reason }),
  };
}

function queues(registry: Registry): Metrics['watchQueues'] {
  const watched = new Set<() => Promise<readonly QueueLength[]>>();
  new Gauge({
    name: 'carillon_queue_length',
    help: 'Jobs in a queue, by state.',
    labelNames: ['queue', 'state'],
    registers: [registry],
    async collect() {
      const readings = await Promise.allSettled([...watched].map(async (read) => within(READ_MAX, read())));
      this.reset();
      for (const reading of readings) {
        if (reading.status === 'fulfilled') for (const { queue, state, length } of reading.value) this.set({ queue, state }, length);
      }
    },
  });
  return (read) => {
    watched.add(read);
    return () => {
      watched.delete(read);
    };
  };
}
