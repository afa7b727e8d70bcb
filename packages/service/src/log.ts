import { type DestinationStream, pino, stdTimeFunctions } from 'pino';
import type { LogLevel } from './settings.js';

/**
 * What goes with a message: ids, codes, counts. `error` may be anything that was thrown. Of other values only text, numbers and booleans
 * are written; an object shows as `[object]`, so that no payload reaches a log by mistake.
 */
export interface LogFields {
  readonly error?: unknown;
  readonly [name: string]: unknown;
}

/** A log: four levels, and a child that adds fields to every line. Messages are fixed sentences; what varies goes into fields. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  child(fields: LogFields): Log;
}

/** What is written about an error. */
interface LoggedError {
  name: string;
  code?: string;
  field?: string;
  stack?: string;
  cause?: LoggedError;
}

/** Causes followed: deeper ones repeat the outer ones in practice, and a loop must end. */
const CAUSES_MAX = 5;

/** A log that says nothing. */
export const noLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => noLog };

/**
 * A log of JSON lines on standard output, or through `write`, which gets one line at a time.
 * Lines are written before the call returns: nothing is lost when the process ends.
 */
export function createLog(options: { level: LogLevel; name: string; write?: (line: string) => void }): Log {
  const settings = {
    level: options.level,
    base: { service: options.name, pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const destination: DestinationStream | undefined = options.write && { write: options.write };
  return wrap(destination ? pino(settings, destination) : pino(settings));
}

type PinoLog = ReturnType<typeof pino>;

function wrap(log: PinoLog): Log {
  const write = (level: Exclude<keyof Log, 'child'>) => (message: string, fields?: LogFields) => {
    if (fields === undefined) log[level](message);
    else if (log.isLevelEnabled(level)) log[level](writable(fields), message);
  };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => wrap(log.child(writable(fields))),
  };
}

function writable(fields: LogFields): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'error') result.error = describe(value, CAUSES_MAX);
    else result[name] = typeof value === 'object' && value !== null ? '[object]' : value;
  }
  return result;
}

/** An allow-list: errors of libraries carry commands, requests and bodies as further properties. */
function describe(thrown: unknown, causes: number): LoggedError {
  if (!(thrown instanceof Error)) return { name: typeof thrown };
  const { code, field } = thrown as { code?: unknown; field?: unknown };
  const stack = safeStack(thrown);
  return {
    name: thrown.name,
    ...(typeof code === 'string' && { code }),
    ...(typeof field === 'string' && { field }),
    ...(stack !== undefined && { stack }),
    ...(thrown.cause !== undefined && causes > 0 && { cause: describe(thrown.cause, causes - 1) }),
  };
}

/** A stack begins with the message, and a SyntaxError of JSON.parse quotes the text it was given there: somebody's data. */
function safeStack(error: Error): string | undefined {
  if (!(error.name === 'SyntaxError')) return error.stack;
  return error.stack?.slice(Math.max(0, error.stack.indexOf('\n    at '))).trimStart();
}
