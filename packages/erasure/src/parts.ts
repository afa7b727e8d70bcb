import type { Revocations } from '@carillon/access';
import type { Audit } from '@carillon/audit';
import type { CarillonError } from '@carillon/contracts';
import type { Deliveries } from '@carillon/deliveries';
import type { Directory } from '@carillon/directory';
import type { Inbox } from '@carillon/inbox';
import type { Redis } from '@carillon/redis';
import type { Vault } from '@carillon/vault';

export interface ErasureParts {
  /** The Redis of the queues. */
  readonly redis: Redis;
  readonly vault: Pick<Vault, 'store' | 'seal' | 'open' | 'nameOf' | 'destroy' | 'destroyAgain' | 'release' | 'person'>;
  readonly deliveries: Pick<Deliveries, 'of' | 'stop' | 'forget'>;
  readonly directory: Pick<Directory, 'profile' | 'preferences' | 'devices' | 'forget'>;
  readonly inbox: Pick<Inbox, 'page' | 'forget' | 'purge'>;
  readonly revocations: Pick<Revocations, 'revoke' | 'revokeBefore'>;
  readonly audit: Audit;
  readonly events?: { error?(error: CarillonError, about: { stage: string }): void };
  /** ms between looks at what is still to be done; a minute unless told. */
  readonly everyMs?: number;
}

/** One line of the log of erasures. It lies with the keys; of one that is done, a copy lies with the queues. */
export interface Entry {
  readonly id: string;
  /** The person's name in the key store: who they were is not kept. */
  readonly name: string;
  readonly requestedAt: number;
  /** Until when other processes may hold the person's key, ms since the epoch; missing until the key is destroyed. */
  readonly until?: number;
  /** Ids of the keys that were destroyed. */
  readonly keys?: readonly string[];
  /** The user id, sealed; gone when the erasure is done. */
  readonly user?: string | undefined;
  readonly completedAt?: number;
  readonly destroyed: Readonly<Record<string, number | boolean>>;
}
