import { readFileSync } from 'node:fs';
import { CarillonError } from '@carillon/contracts';
import { type Config, type Options, type Setting, type SettingName, settings } from './settings.js';

/** Variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;
/** A config in which the named settings have a value. */
export type ConfigWith<Required extends SettingName> = Config & { readonly [Name in Required]: NonNullable<Config[Name]> };

type AnySetting = Setting<unknown, unknown>;
/** What a production has to decide: no default is right for everybody's patients. */
const DECIDED_IN_PRODUCTION: readonly SettingName[] = ['phiPolicy'];
const names = Object.keys(settings) as SettingName[];

/** Where the value of a setting is looked up. Reports a problem through `complain` and answers undefined for it. */
type Lookup = (name: SettingName, setting: AnySetting, complain: (what: string) => void) => unknown;

/**
 * Reads the settings from environment variables. An empty variable counts as not set. A secret `NAME` may also be the content of the
 * file that `NAME_FILE` names.
 *
 * @throws CONFIGURATION_INVALID with one line per problem, all of them, and no value in any.
 */
export function readConfig<R extends SettingName = never>(source: Environment, required: readonly R[] = []): ConfigWith<R> {
  return whole(readSettings(source, required));
}

/** What `readConfig` reads: the settings that are right, and a line for each that is not. */
export interface ReadSettings<R extends SettingName> {
  /** Complete if there are no problems; what is wrong is as if it were not set. */
  readonly config: ConfigWith<R>;
  readonly problems: readonly string[];
}

/** As `readConfig`, for who has more to say than what is wrong with the settings. Of the settings `eitherOf`, one at least is required. */
export function readSettings<R extends SettingName>(
  source: Environment,
  required: readonly R[],
  eitherOf: readonly SettingName[] = [],
): ReadSettings<R> {
  const read = assemble(fromEnvironment(source), (name) => settings[name].env, required, []);
  const envs = eitherOf.map((name) => settings[name].env);
  const isGiven = eitherOf.some((name) => read.config[name] !== undefined);
  // What was given and is wrong has been told of.
  const isTold = read.problems.some((problem) => envs.includes(problem.split(':')[0] as (typeof envs)[number]));
  if (envs.length === 0 || isGiven || isTold) return read;
  return { ...read, problems: [...read.problems, `${envs.join(' or ')}: is required`] };
}

function whole<R extends SettingName>({ config, problems }: ReadSettings<R>): ConfigWith<R> {
  if (problems.length > 0) throw new CarillonError('CONFIGURATION_INVALID', { message: problems.join('\n') });
  return config;
}

/**
 * Reads the settings from options of the library. What is not given is looked up in `source`, which is empty unless told.
 *
 * @throws CONFIGURATION_INVALID with one line per problem, unknown options among them, and no value in any.
 */
export function configFromOptions<R extends SettingName = never>(
  options: Options,
  required: readonly R[] = [],
  source: Environment = {},
): ConfigWith<R> {
  const unknown = Object.keys(options).filter((name) => !Object.hasOwn(settings, name));
  const fallback = fromEnvironment(source);
  const lookup: Lookup = (name, setting, complain) => options[name] ?? fallback(name, setting, complain);
  const problems = unknown.map((name) => `${name}: is not a known option`);
  return whole(assemble(lookup, (name) => name, required, problems));
}

function assemble<R extends SettingName>(
  lookup: Lookup,
  nameOf: (name: SettingName) => string,
  required: readonly SettingName[],
  problems: string[],
): ReadSettings<R> {
  const config: Partial<Record<SettingName, unknown>> = {};
  const undecided: SettingName[] = [];
  for (const name of names) {
    const setting: AnySetting = settings[name];
    const before = problems.length;
    const given = lookup(name, setting, (what) => problems.push(`${nameOf(name)}: ${what}`));
    if (given === undefined) {
      config[name] = setting.default;
      if (DECIDED_IN_PRODUCTION.includes(name) && problems.length === before) undecided.push(name);
      const missing = setting.default === undefined && required.includes(name) && problems.length === before;
      if (missing) problems.push(`${nameOf(name)}: is required`);
      continue;
    }
    const result = setting.schema.safeParse(given);
    config[name] = result.success ? result.data : setting.default;
    problems.push(...(result.error?.issues ?? []).map(({ message }) => `${nameOf(name)}: ${message}`));
  }
  if (config.production) for (const name of undecided) problems.push(`${nameOf(name)}: must be set in production`);
  return { config: Object.freeze(config) as ConfigWith<R>, problems };
}

function fromEnvironment(source: Environment): Lookup {
  return (_name, setting, complain) => {
    const given = source[setting.env] || undefined;
    const file = setting.secret ? source[`${setting.env}_FILE`] || undefined : undefined;
    if (file === undefined) return given;
    if (given !== undefined) {
      complain(`is set together with ${setting.env}_FILE; set one of them`);
      return undefined;
    }
    try {
      const content = readFileSync(file, 'utf8').trim();
      if (content) return content;
      complain(`the file named by ${setting.env}_FILE is empty`);
    } catch (error) {
      complain(`the file named by ${setting.env}_FILE cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
    }
    return undefined;
  };
}
