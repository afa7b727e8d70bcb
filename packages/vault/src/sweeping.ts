import { type CarillonError, toCarillonError } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { Sweep } from './rotation.js';
import type { Vault } from './vault.js';

/** ms between sweeps: encryption keys are changed a few times a year, and whoever changes one wants to go on the same day. */
const SWEEP_EVERY_MS = 3600_000;
/** ms for which one process has a sweep to itself; whoever comes with a new encryption key has a turn at once. */
const TURN_MS = SWEEP_EVERY_MS / 2;

/** Reports of sweeps. */
export interface SweepEvents {
  /** All keys were looked at. Of encryption keys that are not among `wrapped`, none is in use any more. */
  swept?(sweep: Sweep): void;
  error?(error: CarillonError, about: { stage: string }): void;
}

/** Sweeps the key store now and every hour, one process at a time, so that after a change of encryption keys the old one is soon out of use. Close it when done. */
export function runSweeps(vault: Pick<Vault, 'sweep' | 'encryptionKey'>, redis: Redis, events: SweepEvents): { close(): Promise<void> } {
  const turn = async () => {
    const mine = await redis.command<string | null>('SET', redis.keys.sweeper(vault.encryptionKey), '1', 'PX', TURN_MS, 'NX');
    if (mine !== null) events.swept?.(await vault.sweep());
  };
  const report = (error: unknown) => events.error?.(toCarillonError(error), { stage: 'sweep' });
  let running = turn().catch(report);
  const timer = setInterval(() => {
    running = running.then(turn).catch(report);
  }, SWEEP_EVERY_MS).unref();
  return {
    async close() {
      clearInterval(timer);
      await running;
    },
  };
}
