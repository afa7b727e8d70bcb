import { CarillonError, toCarillonError } from '@carillon/contracts';
import { serveAdmin } from './admin.js';
import { type ConfigWith, type Environment, readSettings } from './config.js';
import { within } from './deadline.js';
import { CLOSE_DEADLINE, createDeferred, type Deferred } from './deferred.js';
import { environment } from './environment.js';
import { createLog, type Log } from './log.js';
import { createMetrics, type PrometheusMetrics } from './metrics.js';
import { checkStart, examineStart, type StartCheck } from './production.js';
import type { SettingName } from './settings.js';

/** What a process is built from. */
export interface ProcessParts<R extends SettingName> {
  readonly config: ConfigWith<R>;
  readonly log: Log;
  readonly metrics: PrometheusMetrics;
  /** Notes how to undo what was just built; see `Deferred`. */
  readonly defer: Deferred['defer'];
  /** Logs the error and ends the process with code 1, closing in order. */
  readonly fail: (error: unknown) => void;
}

/** What a started process tells about itself. */
export interface Started {
  /** Whether it can do its work now; asked by `/readyz`. Without it, a started process is ready. */
  readonly ready?: () => Promise<boolean>;
}

/** How a process is run. */
export interface ProcessOptions<R extends SettingName> extends Omit<StartCheck, 'config'> {
  /** Settings without which it does not start. */
  readonly required: readonly R[];
  /** Settings of which it needs one at least. */
  readonly eitherOf?: readonly SettingName[];
  /** Where settings are read; the environment of this process unless told. */
  readonly source?: Environment;
}

/**
 * Runs a process until it is told to stop and resolves with its exit code: 0 after SIGTERM or SIGINT, 1 after a failed start, an uncaught
 * error, `fail`, or a second signal. Reads the environment, makes log and metrics, serves them on NOTIFICATION_ADMIN_PORT if set, makes sure
 * that what is configured may be used in production (see `checkStart`; all that is wrong is told at once), calls `start`. A failed start
 * undoes what was built; stopping undoes it, last first, within 25 s. Never rejects and never calls `process.exit`: the last line of a main
 * does.
 */
export async function runProcess<R extends SettingName>(
  name: string,
  options: ProcessOptions<R>,
  start: (parts: ProcessParts<R>) => Promise<Started>,
): Promise<number> {
  const { config, problems } = readSettings(options.source ?? environment, options.required, options.eitherOf);
  const check: StartCheck = { config, probe: options.probe, sockets: options.sockets };
  const log = createLog({ level: config.logLevel, name });
  if (problems.length > 0) {
    reportPlainly(name, [...problems, ...(config.production ? await refusals(check, log) : [])]);
    return 1;
  }
  const deferred = createDeferred();
  const end = watchForEnd(log);
  let started: Started | undefined;
  const ready = async () => started !== undefined && !end.told() && (await (started.ready?.() ?? true));

  const begin = async () => {
    const metrics = createMetrics();
    if (config.adminPort !== undefined) {
      const admin = await serveAdmin({ port: config.adminPort, metrics, ready });
      deferred.defer('admin server', admin.close);
      log.info('admin server listening', { port: admin.port });
    }
    await checkStart(check, log);
    // Who was told to stop meanwhile builds nothing any more.
    if (end.told()) return;
    started = await start({ config, log, metrics, defer: deferred.defer, fail: end.fail });
  };
  const beginning = begin().catch((error: unknown) => {
    // What breaks because it is being closed is no failure to start.
    if (end.told()) return;
    if (isConfiguration(error)) reportPlainly(name, error.message.split('\n'));
    else log.error('start failed', { error });
    end.tell(1);
  });

  const shutdown = end.first.then(async (code) => {
    const failures = await deferred.close(CLOSE_DEADLINE);
    for (const { what, error } of failures) log.error('closing failed', { what, error });
    // A start cut short may still be building; what it builds is undone as soon as it is deferred.
    await within(CLOSE_DEADLINE, beginning).catch(() => {});
    return failures.length > 0 ? 1 : code;
  });
  const code = await Promise.race([shutdown, end.second]);
  end.close();
  return code;
}

/** What production refuses besides; a Redis that cannot be asked is one more thing that has to wait. */
async function refusals(check: StartCheck, log: Log): Promise<string[]> {
  try {
    return (await examineStart(check)).refused;
  } catch (error) {
    if (isConfiguration(error)) return error.message.split('\n');
    if (toCarillonError(error).code !== 'REDIS_UNAVAILABLE') log.error('start failed', { error });
    return [];
  }
}

function isConfiguration(error: unknown): error is CarillonError {
  return error instanceof CarillonError && error.code === 'CONFIGURATION_INVALID';
}

/** For whoever starts the process: what to set, without a stack. */
function reportPlainly(name: string, lines: readonly string[]): void {
  const list = lines.map((line) => `  ${line}\n`).join('');
  process.stderr.write(`${name} cannot start; these settings are wrong or missing:\n${list}`);
}

/** Waits for the first reason to end, and for a second signal, which means: at once. */
function watchForEnd(log: Log) {
  let tell: (code: number) => void = () => {};
  let giveUp: (code: number) => void = () => {};
  let told = false;
  const first = new Promise<number>((resolve) => {
    tell = (code) => {
      told = true;
      resolve(code);
    };
  });
  const second = new Promise<number>((resolve) => {
    giveUp = resolve;
  });

  let signals = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    signals += 1;
    log.info(signals > 1 ? 'giving up at once' : 'stopping', { signal });
    if (signals > 1) giveUp(1);
    else tell(0);
  };
  const fail = (error: unknown) => {
    log.error('fatal', { error });
    tell(1);
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal).on('uncaughtException', fail).on('unhandledRejection', fail);
  return {
    first,
    second,
    told: () => told,
    tell,
    fail,
    close() {
      process.off('SIGTERM', onSignal).off('SIGINT', onSignal).off('uncaughtException', fail).off('unhandledRejection', fail);
    },
  };
}
