import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { CarillonError } from '@carillon/contracts';
import type { Log } from './log.js';
import { type Config, settings } from './settings.js';

/** Time between looks at the files, ms. Looking at what is in them, and not at their names or times, sees every way of replacing them. */
const LOOK_EVERY_MS = 1000;

/** What a TLS server is made of, and what its `setSecureContext` takes. */
export interface TlsCredentials {
  /** PEM, with its chain. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  readonly minVersion: 'TLSv1.2';
}

/** Certificate and key of a process, as they are now. */
export interface Tls {
  readonly credentials: TlsCredentials;
  /** Calls the listener with each new pair; connections that are open keep the one they began with. */
  onChange(listener: (credentials: TlsCredentials) => void): void;
  /** Looks at the files no more. Called again, it changes nothing. */
  close(): void;
}

type Given = Pick<Config, 'tlsCert' | 'tlsKey'>;
type Pair = Pick<TlsCredentials, 'cert' | 'key'>;

/**
 * The certificate and key of the settings, each given as PEM or as the path of such a file; undefined if there are none. Files are looked at
 * every second. What stands in them at two looks in a row is taken if it is a pair; what is none is told to the log, and the old pair stays.
 * Close it when done.
 *
 * @throws CONFIGURATION_INVALID if one is missing, cannot be read, or does not fit the other; never with what is in them.
 */
export function openTls(config: Given, log: Pick<Log, 'info' | 'warn'>): Tls | undefined {
  const { tlsCert, tlsKey } = config;
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined) throw wrong('tlsCert', `is required with ${settings.tlsKey.env}`);
  if (tlsKey === undefined) throw wrong('tlsKey', `is required with ${settings.tlsCert.env}`);
  const files = { cert: tlsCert, key: tlsKey };
  let credentials = credentialsOf({ cert: readNow('tlsCert', tlsCert), key: readNow('tlsKey', tlsKey) });

  const listeners = new Set<(credentials: TlsCredentials) => void>();
  const take = (pair: Pair) => {
    credentials = credentialsOf(pair);
    for (const listener of listeners) listener(credentials);
    log.info('certificate replaced');
  };
  const refused = (error: unknown) => log.warn('the new certificate cannot be used; the old one stays', { error });
  const close = isPem(tlsCert) && isPem(tlsKey) ? () => {} : watch(files, credentials, take, refused);
  return {
    get credentials() {
      return credentials;
    },
    onChange: (listener) => void listeners.add(listener),
    close,
  };
}

/** Looks at the files until the function returned is called, and offers what has changed once it stays as it is. */
function watch(files: Pair, first: Pair, take: (pair: Pair) => void, refused: (error: unknown) => void): () => void {
  // What was offered last, and what was seen last.
  let offered = textOf(first);
  let seen = offered;
  let isLooking = false;
  const look = async () => {
    const found = await readPair(files);
    const text = found instanceof CarillonError ? found.message : textOf(found);
    const isStill = text === seen;
    seen = text;
    if (!isStill || text === offered) return;
    offered = text;
    try {
      if (found instanceof CarillonError) throw found;
      take(found);
    } catch (error) {
      refused(error);
    }
  };
  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    void look().finally(() => {
      isLooking = false;
    });
  }, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

const textOf = ({ cert, key }: Pair) => `${cert}\n${key}`;
const isPem = (given: string) => given.includes('-----BEGIN');

async function readPair({ cert, key }: Pair): Promise<Pair | CarillonError> {
  try {
    const read = (name: keyof Given, given: string) => (isPem(given) ? given : readFile(given, 'utf8').catch((error) => fail(name, error)));
    return { cert: await read('tlsCert', cert), key: await read('tlsKey', key) };
  } catch (error) {
    return error as CarillonError;
  }
}

function readNow(name: keyof Given, given: string): string {
  if (isPem(given)) return given;
  try {
    return readFileSync(given, 'utf8');
  } catch (error) {
    return fail(name, error);
  }
}

function fail(name: keyof Given, error: unknown): never {
  throw wrong(name, `the file cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
}

/** @throws CONFIGURATION_INVALID unless certificate and key fit each other */
function credentialsOf({ cert, key }: Pair): TlsCredentials {
  const certificate = attempt('tlsCert', 'holds no certificate that can be read', () => new X509Certificate(cert));
  const privateKey = attempt('tlsKey', 'holds no private key that can be read without a password', () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) throw wrong('tlsKey', `is not the key of ${settings.tlsCert.env}`);
  const credentials = { cert, key, minVersion: 'TLSv1.2' } as const;
  // The rest of the chain, and whether the key is long enough to be taken.
  attempt('tlsCert', 'holds a certificate, or a chain, that TLS does not take', () => createSecureContext(credentials));
  return credentials;
}

function attempt<T>(name: keyof Given, fault: string, make: () => T): T {
  try {
    return make();
  } catch {
    throw wrong(name, fault);
  }
}

function wrong(name: keyof Given, fault: string): CarillonError {
  const { env } = settings[name];
  return new CarillonError('CONFIGURATION_INVALID', { field: env, message: `${env}: ${fault}` });
}
