import { CarillonError, toCarillonError } from '@carillon/contracts';
import type { Log } from './log.js';
import { weakSecrets } from './secrets.js';
import { type Config, type Risk, type SettingName, settings } from './settings.js';

/** Something that is not safe for people's data, unless whoever runs it knows why it is. */
export interface StartProblem {
  /** The risk that would have to be accepted. */
  readonly risk: Risk;
  /** The environment variable concerned. */
  readonly setting: string;
  /** Which of several entries, from 1. */
  readonly entry?: number;
  /** What is wrong; never a value. */
  readonly fault: string;
}

/** What a Redis tells of itself, as far as a start cares. */
export interface RedisFacts {
  /** Its `maxmemory-policy`; undefined if it does not tell. */
  readonly evictionPolicy: string | undefined;
}

/** Asks a Redis. @throws REDIS_UNAVAILABLE */
export type RedisProbe = (address: { readonly url: string; readonly cluster?: boolean | 'auto' | undefined }) => Promise<RedisFacts>;

/** What is known of a process besides its settings. */
export interface StartFacts {
  /** What the Redis of each of these settings told. */
  readonly redis: Partial<Record<RedisSetting, RedisFacts>>;
  /** Whether it serves WebSockets. */
  readonly sockets: boolean;
}

/** How a process is looked at before it starts. */
export interface StartCheck {
  /** Settings as they were given: an embedded Redis and generated keys are no concern. */
  readonly config: Config;
  /** How to ask a Redis; without it none is asked. */
  readonly probe?: RedisProbe | undefined;
  /** Whether the process serves WebSockets. */
  readonly sockets?: boolean | undefined;
}

const redisSettings = ['redisUrl', 'keysRedisUrl'] as const satisfies readonly SettingName[];
type RedisSetting = (typeof redisSettings)[number];

/** Whether sockets are encrypted by the process that serves them, and not by a proxy in front. */
const encryptsSockets = ({ tlsCert }: Config) => tlsCert !== undefined;

/** All that production would refuse, in the order of the settings. Redis is judged only where one was configured: the embedded one is ours. */
export function productionProblems(config: Config, facts: StartFacts): StartProblem[] {
  const problems: StartProblem[] = [];
  for (const name of redisSettings) {
    const setting = settings[name].env;
    const urls = config[name]?.split(',') ?? [];
    if (urls.some((url) => url.trim().startsWith('redis:')))
      problems.push({ risk: 'plain-redis', setting, fault: 'names Redis without TLS; use rediss://' });
    const told = facts.redis[name];
    if (told && told.evictionPolicy !== 'noeviction') problems.push({ risk: 'eviction', setting, fault: evictionFault(told) });
  }
  // On a laptop everything is, and nobody else is on the line.
  const isLaptop = !config.production && config.redisUrl === undefined;
  if (facts.sockets && !isLaptop && !encryptsSockets(config))
    problems.push({
      risk: 'plain-ws',
      setting: settings.wsPort.env,
      fault: `serves ws:// without TLS; set ${settings.tlsCert.env}, or put a proxy in front that speaks it`,
    });
  for (const weak of weakSecrets(config)) problems.push({ risk: 'weak-secret', ...weak });
  return problems;
}

const evictionFault = ({ evictionPolicy }: RedisFacts) =>
  evictionPolicy === undefined
    ? 'the server does not tell its maxmemory-policy, which must be noeviction; let its user run INFO'
    : 'the server may evict keys; its maxmemory-policy must be noeviction';

/** A line for whoever starts the process. */
export function lineOf({ risk, setting, entry, fault }: StartProblem): string {
  return `${setting}: ${entry === undefined ? '' : `entry ${entry} `}${fault} (or accept the risk: NOTIFICATION_ACCEPT_RISK=${risk})`;
}

/**
 * Looks at what is about to start. `refused` are lines, all at once, one for each problem that production does not accept; `accepted` is what
 * is to be said aloud: what was accepted by name and, outside production, everything.
 *
 * @throws REDIS_UNAVAILABLE if a Redis cannot be asked and there is nothing else to tell.
 */
export async function examineStart(check: StartCheck): Promise<{ refused: string[]; accepted: StartProblem[] }> {
  const { config, sockets = false } = check;
  const { redis, unreachable } = await askAll(check);
  const problems = productionProblems(config, { redis, sockets });
  const [first] = unreachable;
  if (!config.production) {
    if (first) throw first.error;
    return { refused: [], accepted: problems };
  }
  const isAccepted = ({ risk }: StartProblem) => config.acceptRisk.includes(risk);
  const refused = problems.filter((problem) => !isAccepted(problem)).map(lineOf);
  const isAway = ({ error }: Unasked) => error.code !== 'CONFIGURATION_INVALID';
  if (first && refused.length === 0 && unreachable.every(isAway)) throw first.error;
  return { refused: [...refused, ...unreachable.flatMap(unaskedLines)], accepted: problems.filter(isAccepted) };
}

/**
 * Refuses a start in production that would not be safe, and warns of what was accepted, a line each; outside production it only mentions it.
 * Warns anywhere of an issuer whose tokens are bound to nothing.
 *
 * @throws CONFIGURATION_INVALID with all that is wrong, a line each, and no value in any; REDIS_UNAVAILABLE.
 */
export async function checkStart(check: StartCheck, log: Pick<Log, 'warn' | 'debug'>): Promise<void> {
  const { refused, accepted } = await examineStart(check);
  if (refused.length > 0) throw new CarillonError('CONFIGURATION_INVALID', { message: refused.join('\n') });
  const level = check.config.production ? 'warn' : 'debug';
  for (const { fault, ...where } of accepted) log[level](`not safe for production: ${fault}`, where);
  for (const setting of unboundBy(check.config))
    log.warn('client tokens that the issuer signs for others are good here; bind them', { setting });
}

/** What would bind the tokens of an issuer to us and is not set: the keys alone tell neither for whom nor, often, by whom a token is. */
function unboundBy({ jwksUrl, jwtIssuer, jwtAudience }: Config): string[] {
  if (jwksUrl === undefined) return [];
  return [...(jwtIssuer === undefined ? [settings.jwtIssuer.env] : []), ...(jwtAudience === undefined ? [settings.jwtAudience.env] : [])];
}

/** Why a Redis could not be asked: it is away, or its address is wrong. */
function unaskedLines({ setting, error }: Unasked): string[] {
  if (error.code === 'CONFIGURATION_INVALID') return error.message.split('\n');
  return [`${setting}: cannot be reached, so what it is set to is not known yet`];
}

interface Unasked {
  readonly setting: string;
  readonly error: CarillonError;
}

/** Asks every Redis that was configured. */
async function askAll({ config, probe }: StartCheck) {
  const redis: Partial<Record<RedisSetting, RedisFacts>> = {};
  const unreachable: Unasked[] = [];
  for (const name of redisSettings) {
    const url = config[name];
    if (!probe || url === undefined) continue;
    try {
      redis[name] = await probe({ url, cluster: name === 'redisUrl' ? config.redisCluster : undefined });
    } catch (error) {
      unreachable.push({ setting: settings[name].env, error: toCarillonError(error) });
    }
  }
  return { redis, unreachable };
}
