import { randomInt } from 'node:crypto';
import { gunzipSync } from 'node:zlib';

/**
 * What a canary stands for: a field of a template by its class, what is known of a person, a part of a request that no template shows and no
 * provider is to be given (`inner`), another part of it, or the name of a field that there is not.
 */
export type CanaryClass = 'phi' | 'pii' | 'public' | 'person' | 'inner' | 'request' | 'unknown name';

/** A text that is nowhere but where a test put it. */
interface Canary {
  readonly name: string;
  readonly class: CanaryClass;
  readonly needles: readonly Needle[];
}

interface Needle {
  readonly encoding: string;
  readonly bytes: Buffer;
}

/** Letters and digits only: URL-encoding and JSON leave them as they are, and every field takes them. */
const LETTERS = 'bcdfghjklmnpqrstvwxz';
const LENGTH = 14;
const DIGITS = 11;

const draw = (alphabet: string, length: number) => Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');

/** The ways in which a text may be written down. */
export const encodings: Readonly<Record<string, (text: string) => string | Buffer>> = {
  plain: (text) => text,
  base64: (text) => Buffer.from(text).toString('base64'),
  base64url: (text) => Buffer.from(text).toString('base64url'),
  hex: (text) => Buffer.from(text).toString('hex'),
  HEX: (text) => Buffer.from(text).toString('hex').toUpperCase(),
  percent: (text) => eachByte(text, (hex) => `%${hex}`),
  PERCENT: (text) => eachByte(text, (hex) => `%${hex.toUpperCase()}`),
  'JSON escapes': (text) => eachByte(text, (hex) => `\\u00${hex}`),
  'HTML references': (text) => eachByte(text, (hex) => `&#x${hex};`),
  'UTF-16': (text) => Buffer.from(text, 'utf16le'),
};

const eachByte = (text: string, write: (hex: string) => string) =>
  [...Buffer.from(text)].map((byte) => write(byte.toString(16).padStart(2, '0'))).join('');

/** What to look for. In base64 a text looks different at each of three positions; what its neighbours have a part in is left out. */
function needlesOf(text: string): Needle[] {
  const needles = new Map<string, Needle>();
  for (const [encoding, write] of Object.entries(encodings)) {
    for (const before of encoding.startsWith('base64') ? [0, 1, 2] : [0]) {
      const written = write('\0'.repeat(before) + text);
      const from = Math.ceil((before * 8) / 6);
      const end = Math.floor(((before + text.length) * 8) / 6);
      const bytes = Buffer.from(encoding.startsWith('base64') ? written.slice(from, end) : written);
      if (!needles.has(bytes.toString('latin1'))) needles.set(bytes.toString('latin1'), { encoding, bytes });
    }
  }
  return [...needles.values()];
}

/** The canaries of one test. */
export class Canaries {
  readonly list: Canary[] = [];

  /** A new one of letters; `name` says where it is put. */
  text(name: string, of: CanaryClass): string {
    return this.#add(name, of, `cnry${draw(LETTERS, LENGTH)}`);
  }

  /** A new one of digits, without a leading zero. `written` are other ways in which the number is written. */
  digits(name: string, of: CanaryClass, written: (digits: string) => string[] = () => []): string {
    const digits = draw('123456789', DIGITS);
    for (const text of written(digits)) this.#add(`${name}, written out`, of, text);
    return this.#add(name, of, digits);
  }

  #add(name: string, of: CanaryClass, text: string): string {
    this.list.push({ name, class: of, needles: needlesOf(text) });
    return text;
  }
}

/** What was seen in all the places where no canary may be. */
export class Evidence {
  readonly #seen: { readonly place: string; readonly bytes: Buffer }[] = [];

  /** Keeps what a place holds. */
  add(place: string, what: string | Buffer): void {
    this.#seen.push({ place, bytes: Buffer.isBuffer(what) ? what : Buffer.from(what) });
  }

  /** Which canaries are in which places, and how they are written there. */
  sightings(canaries: Canaries, of: (place: string, canary: CanaryClass) => boolean = () => true): string[] {
    const found = new Set<string>();
    for (const { place, bytes } of this.#seen) {
      const sought = canaries.list.filter((canary) => of(place, canary.class));
      for (const layer of sought.length > 0 ? layersOf(bytes) : []) {
        for (const canary of sought) {
          const needle = canary.needles.find((one) => layer.includes(one.bytes));
          if (needle) found.add(`${place}: ${canary.name} (${canary.class}, ${needle.encoding})`);
        }
      }
    }
    return [...found].toSorted();
  }

  /** Whether a place is known to hold a text: the control that it was really looked at. */
  holds(place: string | RegExp, text: string): boolean {
    const isIt = (name: string) => (typeof place === 'string' ? name === place : place.test(name));
    return this.#seen.some((one) => isIt(one.place) && layersOf(one.bytes).some((layer) => layer.includes(text)));
  }
}

/** Begins what is gzipped (RFC 1952, deflate), and the same in base64. */
const GZIP = Buffer.from([0x1f, 0x8b, 0x08]);
const GZIP_IN_BASE64 = /H4sI[A-Za-z0-9+/_-]{16,}/g;

/** The bytes themselves, and what is gzipped in them. */
function layersOf(bytes: Buffer): Buffer[] {
  const packed: Buffer[] = [];
  for (let at = bytes.indexOf(GZIP); at >= 0; at = bytes.indexOf(GZIP, at + 1)) packed.push(bytes.subarray(at));
  if (bytes.includes('H4sI'))
    for (const [text] of bytes.toString('latin1').matchAll(GZIP_IN_BASE64)) packed.push(Buffer.from(text, 'base64'));
  return [bytes, ...packed.flatMap(unpacked)];
}

function unpacked(packed: Buffer): Buffer[] {
  try {
    return layersOf(gunzipSync(packed));
  } catch {
    // It only looked like it.
    return [];
  }
}
