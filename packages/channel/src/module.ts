import { CarillonError, type ChannelDefinition } from '@carillon/contracts';
import type { Redis } from '@carillon/redis';
import type { Config } from '@carillon/service';
import type { Vault } from '@carillon/vault';
import type { Channel } from './channel.js';
import type { Provider, Receiver } from './provider.js';

/** What a channel that needs no provider is built from. */
export interface DirectParts {
  readonly config: Config;
  /** A `patient` connection. */
  readonly redis: Redis;
  readonly vault: Vault;
}

/**
 * What a channel's folder exports, and all that the rest knows of it. Either it delivers by itself (`open`), or through providers.
 */
export interface ChannelModule {
  readonly definition: ChannelDefinition;
  /** Calls to providers at once, per process; of a channel that delivers by itself, jobs of one partition worked on at once. */
  readonly concurrency: number;
  /** Opens a channel that delivers by itself. */
  readonly open?: (parts: DirectParts) => Channel & { close?(): Promise<void> };
  /**
   * The providers that are configured, in the order in which they are to be tried. Empty if none is.
   *
   * @throws CONFIGURATION_INVALID for settings that contradict each other or miss their other half
   */
  readonly providers?: (config: Config) => Provider[];
  /** Calls to providers per ms that all workers together may make; absent for no limit. */
  readonly rate?: (config: Config) => number | undefined;
  /** What to set to have a provider, for whoever has none. */
  readonly settings?: string;
  /** How the reports of its providers are read, by the provider's name in `POST /v1/providers/:provider/events`. */
  readonly receivers?: (config: Config) => Readonly<Record<string, Receiver>>;
  /** Whether a report can come that settles an unknown outcome: only then is it waited for. None can unless told. */
  readonly echoes?: (config: Config) => boolean;
}

/** Settings, by the names people know them by, that are of use together only; undefined where none is set. @throws CONFIGURATION_INVALID */
export function allOrNone<Name extends string>(settings: Readonly<Record<Name, string | undefined>>): Record<Name, string> | undefined {
  const names = Object.keys(settings) as Name[];
  const missing = names.filter((name) => !settings[name]);
  if (missing.length === 0) return settings as Record<Name, string>;
  if (missing.length === names.length) return undefined;
  const set = names.filter((name) => settings[name]);
  throw new CarillonError('CONFIGURATION_INVALID', { message: `${missing.join(', ')}: needed with ${set.join(', ')}` });
}
