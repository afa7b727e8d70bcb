import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { Log } from '@carillon/service';
import type { BoardQueue } from './parts.js';
import { toFault, toProblem } from './problem.js';

/** Where Bull Board is. */
export const BOARD = '/admin/queues';

/** Bull Board as a plugin. */
export function board(queues: readonly BoardQueue[], log: Log) {
  const adapter = new FastifyAdapter();
  adapter.setBasePath(BOARD);
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queue)),
    serverAdapter: adapter,
    options: { uiConfig: { boardTitle: 'Carillon', hideRedisDetails: true, hideDocsLink: true } },
  });
  // Its own handler shows messages of errors.
  adapter.setErrorHandler((thrown) => {
    const { error, status } = toFault(thrown);
    if (status >= 500) log.error('queue board failed', { error });
    return { status: status as 500, body: { ...toProblem(error, status) } };
  });
  return adapter.registerPlugin();
}
