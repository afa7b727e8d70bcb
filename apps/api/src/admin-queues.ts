import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import { CarillonError, channelNames, errorCatalogue, parse } from '@carillon/contracts';
import type { Log } from '@carillon/service';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { BoardQueue } from './parts.js';
import type { Policy } from './policy.js';
import { toFault, toProblem } from './problem.js';
import { inQuery } from './schemas.js';
import type { Server } from './validation.js';

/** Where Bull Board is. */
export const BOARD = '/admin/queues';
/** Where people end their session. */
export const LOGOUT = '/admin/logout';

const QUEUES = '/api/queues';
const JOB = `${QUEUES}/:queueName/:jobId`;
/**
 * What of Bull Board's interface there is. Not there: adding, copying and changing jobs, emptying and removing queues, limits, and lists of
 * connected workers, which would need a command that a managed Redis refuses.
 */
const OFFERED = new Set([
  `get ${QUEUES}`,
  `get ${QUEUES}/:queueName/metrics`,
  `get ${QUEUES}/:queueName/default-job-options`,
  `get ${QUEUES}/:queueName/rate-limit`,
  `get ${QUEUES}/:queueName/job-data-schema`,
  'get /api/job-schedulers',
  `get ${JOB}`,
  `get ${JOB}/logs`,
  `get ${JOB}/flow`,
  `put ${QUEUES}/pause`,
  `put ${QUEUES}/resume`,
  `put ${QUEUES}/:queueName/pause`,
  `put ${QUEUES}/:queueName/resume`,
  `put ${QUEUES}/:queueName/retry/:queueStatus`,
  `put ${QUEUES}/:queueName/clean/:queueStatus`,
  `put ${QUEUES}/:queueName/promote`,
  `put ${JOB}/retry`,
  `put ${JOB}/clean`,
  `put ${JOB}/promote`,
]);

/** Jobs of one page, as many as the board's settings offer: each is read whole. */
const JOBS_MAX = 300;

/** The name of a queue, which the board decodes once more than HTTP does. */
const name = z.string().refine(isDecodable, 'must be the name of a queue').optional();
const querySchema = z.looseObject({
  activeQueue: name,
  queueName: name,
  page: z.union([z.literal(''), inQuery(1, 1_000_000)]).optional(),
  jobsPerPage: z.union([z.literal(''), inQuery(1, JOBS_MAX)]).optional(),
});

function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined;
  } catch {
    return false;
  }
}

/** The adapter, without the routes that are not offered. */
class Board extends FastifyAdapter {
  override setApiRoutes(routes: Parameters<FastifyAdapter['setApiRoutes']>[0]) {
    return super.setApiRoutes(routes.filter(({ method, route }) => OFFERED.has(`${method} ${route}`)));
  }
}

/** Adds Bull Board to a server on which whoever comes is signed in. Without the scope `admin` one may look, and not change anything. */
export async function addBoard(server: Server, queues: readonly BoardQueue[], log: Log): Promise<void> {
  const adapter = new Board();
  adapter.setBasePath(BOARD);
  createBullBoard({
    queues: queues.map(toShown),
    serverAdapter: adapter,
    options: {
      uiConfig: {
        boardTitle: 'Carillon',
        hideRedisDetails: true,
        hideDocsLink: true,
        showWorkers: false,
        miscLinks: [{ text: 'Sign out', url: LOGOUT }],
      },
    },
  });
  // Its own handler shows messages of errors.
  adapter.setErrorHandler((thrown) => {
    const { error, status } = toFault(isStale(thrown) ? new CarillonError('FIELD_INVALID', STALE) : thrown);
    if (status >= 500) log.error('queue board failed', { error });
    return { status: status as 500, body: { ...toProblem(error, status) } };
  });

  const names = new Set(queues.map(({ name }) => name));
  server.addHook('onRoute', (route) => {
    route.config = { ...route.config, ...policyOf(route.url, route.method) };
  });
  server.addHook('preHandler', async (request) => {
    parse(querySchema, request.query);
    const queue = queueOf(request, names);
    if (queue !== undefined) request.concerns = { queue };
  });
  server.addHook('preSerialization', async (request, { statusCode }, payload) =>
    statusCode < 400 ? show(payload, request) : faultOf(payload),
  );
  server.addHook('onSend', async (_request, reply, payload) => withoutForeignFonts(String(reply.getHeader('content-type')), payload));
  await server.register(adapter.registerPlugin(), { prefix: BOARD });
}

/** By these codes BullMQ says that a job is not there any more, or in another state than it was asked for. */
const isStale = (thrown: unknown) => [-1, -3].includes((thrown as { code?: number } | undefined)?.code ?? 0);
const STALE = { field: 'jobId', message: 'jobId: the job is gone or in another state' };

function policyOf(url: string, method: string | readonly string[]): Policy {
  if (url.startsWith(`${BOARD}/static`)) return { access: 'session', action: 'none' };
  const reads = [method].flat().every((verb) => verb === 'GET' || verb === 'HEAD');
  return { access: 'session', action: reads ? 'queues.viewed' : 'queues.changed' };
}

/** The queue a request is about, if there is one of that name. */
function queueOf({ params, query }: FastifyRequest, names: ReadonlySet<string>): string | undefined {
  const { queueName = (query as { activeQueue?: unknown }).activeQueue } = params as { queueName?: unknown };
  return typeof queueName === 'string' && names.has(queueName) ? queueName : undefined;
}

const stages: readonly unknown[] = ['render', ...channelNames];

/** A queue of which the board is given ids and counts. What a job holds besides is sealed, and is not shown even so. */
function toShown(queue: BoardQueue): BullMQAdapter {
  const adapter = new BullMQAdapter(queue);
  adapter.setFormatter('data', (data) => pick(data, ['v', 'ids', 'tries', 'givenUp', 'redriven']));
  adapter.setFormatter('returnValue', () => null);
  adapter.setFormatter('progress', (progress) => (typeof progress === 'number' ? progress : 0));
  adapter.setFormatter('name', ({ name }) => (stages.includes(name) ? name : 'unknown'));
  return adapter;
}

type Fields = Readonly<Record<string, unknown>>;

function pick(from: unknown, names: readonly string[]): Fields {
  const fields = (from ?? {}) as Fields;
  return Object.fromEntries(names.flatMap((name) => (Object.hasOwn(fields, name) ? [[name, fields[name]]] : [])));
}

/** Answers to what nothing of ours makes: logs of jobs, flows and schedulers. What somebody else wrote there is nobody's business here. */
const EMPTY: Readonly<Record<string, (payload: unknown) => unknown>> = {
  [`${BOARD}${JOB}/logs`]: () => [],
  [`${BOARD}${JOB}/flow`]: (payload) => ({ ...pick(payload, ['nodeId']), isFlowNode: false, flowRoot: null }),
  [`${BOARD}/api/job-schedulers`]: () => ({ schedulers: [] }),
};

/** What is wrong, by its key: the values of a message are what was asked for. */
function faultOf(payload: unknown): unknown {
  const { error } = (payload ?? {}) as Fields;
  return error === undefined ? payload : { error: pick(error, ['key']) };
}

/** What the board answers, with no more of jobs than may be seen, and for who may only look as of queues that can only be looked at. */
function show(payload: unknown, { routeOptions, scopes }: FastifyRequest): unknown {
  const { queues, job } = (payload ?? {}) as { queues?: unknown; job?: unknown };
  const empty = EMPTY[routeOptions.url ?? ''];
  if (empty) return empty(payload);
  if (job !== undefined) return { ...(payload as Fields), job: shownJob(job as Fields) };
  if (!Array.isArray(queues)) return payload;
  const limits = scopes.includes('admin') ? {} : { readOnlyMode: true, allowRetries: false, allowCompletedRetries: false };
  return { queues: queues.map((queue: { jobs: Fields[] }) => ({ ...queue, ...limits, jobs: queue.jobs.map(shownJob) })) };
}

const JOB_FIELDS = [
  'id',
  'timestamp',
  'processedOn',
  'finishedOn',
  'attempts',
  'delay',
  'isFailed',
  'priority',
  'attemptsStarted',
  'stalledCounter',
];
/** These come from the formatters. */
const FORMATTED = ['data', 'name', 'returnValue', 'progress'];

function shownJob(job: Fields): Fields {
  return {
    ...pick(job, [...JOB_FIELDS, ...FORMATTED]),
    opts: pick(job.opts, ['attempts', 'delay', 'priority']),
    failedReason: job.failedReason === undefined ? undefined : sayWhy(job.failedReason),
    stacktrace: Array.isArray(job.stacktrace) ? job.stacktrace.map(framesOf) : [],
  };
}

/** The code a failure begins with, in the catalogue's words: a message may name what was worked on. */
function sayWhy(reason: unknown): string {
  const [code = ''] = String(reason).split(':', 1);
  const known = Object.hasOwn(errorCatalogue, code) ? (code as keyof typeof errorCatalogue) : 'INTERNAL';
  return `${known}: ${errorCatalogue[known][1]}`;
}

/** A stack trace, of whose message the code is left. */
function framesOf(trace: unknown): string {
  const frames = String(trace)
    .split('\n')
    .filter((line) => /^\s+at [^\n]*:\d+:\d+\)?$/.test(line) || /^\s+at async /.test(line));
  return [sayWhy(trace), ...frames].join('\n');
}

/** The page asks another site for its letters, which the policy of the page refuses; without the line there is nothing to refuse. */
function withoutForeignFonts(type: string, payload: unknown): unknown {
  if (!type.startsWith('text/html') || typeof payload !== 'string') return payload;
  return payload.replace(/<link href="https:[^>]*>/g, '');
}
