import { passwordOf } from './redis-address.js';
import { type Config, settings } from './settings.js';

/** Bytes a secret must have: the strength of what it signs and seals with, HMAC-SHA-256 (RFC 7518 section 3.2) and AES-256. */
const SECRET_MIN_BYTES = 32;
/** Longest pattern whose repetition counts as no secret, bytes. */
const PERIOD_MAX = 16;

/** Share of bytes that are the next of their neighbour from which on they count as no secret; of random bytes it is about a hundredth. */
const COUNTED_SHARE = 0.75;

/** A secret that is none, by its setting and its place there; never the secret. */
export interface WeakSecret {
  readonly setting: string;
  readonly entry?: number;
  readonly fault: string;
}

/** Passwords of which attackers' lists begin. */
const guessed = new Set(['secret', 'password', 'changeme', 'changeit', 'redis', 'foobared', 'admin', 'root', 'test', 'example', 'default']);
/** What only examples say of themselves, ours and those of JWT tutorials. */
const example =
  /change.?(me|it)|replace.?(me|this)|placeholder|your.{0,20}(secret|key)|at.?least.?(32|256|512|thirty)|thirty.?two|(32|256|512).?(bit|byte|char).{0,12}(secret|key)|do.?not.?use|insecure|example/i;
/** Keys that are printed in standards, base64url: RFC 7515 appendix A.1, NIST SP 800-38A appendix F for AES-256. */
const printed = new Set([
  'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
  'YD3rEBXKcb4rc67whX13gR81LAc7YQjXLZgQowkU3_Q',
]);

const isPublished = (text: string) =>
  guessed.has(text.toLowerCase()) || printed.has(text) || example.test(text) || isPattern(Buffer.from(text));

/** Whether bytes follow a rule one can see: one short pattern again and again, or counting up or down. */
function isPattern(bytes: Buffer): boolean {
  if (bytes.length < 2) return true;
  for (let period = 1; period <= Math.min(PERIOD_MAX, bytes.length / 2); period++) {
    if (bytes.subarray(period).equals(bytes.subarray(0, -period))) return true;
  }
  const counted = bytes.filter((byte, at) => at > 0 && Math.abs(byte - (bytes[at - 1] as number)) <= 1).length;
  return counted >= COUNTED_SHARE * (bytes.length - 1);
}

function textFault(secret: string): string | undefined {
  if (isPublished(secret)) return 'is a published example or easy to guess';
  return Buffer.byteLength(secret) < SECRET_MIN_BYTES ? `is shorter than ${SECRET_MIN_BYTES} bytes` : undefined;
}

function keyFault(base64: string): string | undefined {
  const bytes = Buffer.from(base64, 'base64');
  const weak = isPattern(bytes) || isPublished(bytes.toString('latin1')) || printed.has(bytes.toString('base64url'));
  return weak ? 'is a published example or easy to guess' : undefined;
}

function passwordFault(url: string): string | undefined {
  const password = passwordOf(url);
  return password && isPublished(password) ? 'has a password that is a published example or easy to guess' : undefined;
}

/** The part after the last colon of an API key's entry, and after the first of an encryption key's. */
const bearerOf = (entry: string) => entry.slice(entry.lastIndexOf(':') + 1);
const keyOf = (entry: string) => entry.slice(entry.indexOf(':') + 1);

/** All secrets of a configuration that are too short, printed somewhere, or easy to guess. */
export function weakSecrets(config: Config): WeakSecret[] {
  const found: WeakSecret[] = [];
  const look = (setting: string, list: string | undefined, faultOf: (entry: string) => string | undefined) => {
    for (const [index, entry] of (list?.split(',') ?? []).entries()) {
      const fault = faultOf(entry.trim());
      if (fault !== undefined) found.push({ setting, entry: index + 1, fault });
    }
  };
  look(settings.redisUrl.env, config.redisUrl, passwordFault);
  look(settings.apiKeys.env, config.apiKeys, (entry) => textFault(bearerOf(entry)));
  const fault = config.jwtSecret === undefined ? undefined : textFault(config.jwtSecret);
  if (fault !== undefined) found.push({ setting: settings.jwtSecret.env, fault });
  look(settings.encryptionKeys.env, config.encryptionKeys, (entry) => keyFault(keyOf(entry)));
  look(settings.keysRedisUrl.env, config.keysRedisUrl, passwordFault);
  return found;
}
