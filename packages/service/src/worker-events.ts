import { CarillonError } from '@carillon/contracts';
import type { Log } from './log.js';
import type { Metrics } from './metrics.js';

/** What a worker of a stage reports, as metrics and log lines. A stage that is stuck ends the process through `fail`, to be started anew. */
export function workerEvents({ log, metrics, fail }: { log: Log; metrics: Metrics; fail: (error: unknown) => void }) {
  return {
    jobFinished: metrics.jobFinished,
    itemFailed: metrics.itemFailed,
    deliverySettled: metrics.deliverySettled,
    templateRendered: metrics.templateRendered,
    piiDetected: metrics.piiDetected,
    providerCalled: metrics.providerCalled,
    providerPaused: (provider: string, error: CarillonError) => log.error('provider paused', { provider, error }),
    error: (error: CarillonError, about: { stage: string; jobId?: string }) => log.warn('work failed', { error, ...about }),
    stuck: (stage: string) => fail(new CarillonError('INTERNAL', { message: `The workers of ${stage} stopped taking jobs.` })),
  };
}
