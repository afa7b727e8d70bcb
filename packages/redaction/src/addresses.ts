import { isIPv4, isIPv6 } from 'node:net';
import validator from 'validator';
import type { Finding } from './detector.js';
import { before, type Finder, scan } from './scan.js';

/** Characters before and after the sign (RFC 5321, 4.5.3.1). */
const LOCAL_MAX = 64;
const DOMAIN_MAX = 255;
const LOCAL = /[\p{L}\p{N}._%+'’-]/u;
const DOMAIN = /[\p{L}\p{N}.-]{1,255}/uy;

/** Mail addresses: what stands around an `@`, as far as it can belong to one. */
export const findEmails: Finder = (text) => {
  const found: Finding[] = [];
  let end = 0;
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    let start = at;
    while (start > end && at - start < LOCAL_MAX && LOCAL.test(text[start - 1] as string)) start--;
    while (start < at && /[^\p{L}\p{N}_]/u.test(text[start] as string)) start++;
    if (start === at) continue;
    DOMAIN.lastIndex = at + 1;
    const domain = (DOMAIN.exec(text)?.[0] ?? '').slice(0, DOMAIN_MAX).replace(/[.-]{1,255}$/, '');
    const address = text.slice(start, at + 1 + domain.length);
    if (!domain.includes('.') || !validator.isEmail(address.replace(/’/g, "'"))) continue;
    end = start + address.length;
    found.push({ entity: 'email', start, end });
  }
  return found;
};

/** A name in front of it, as in `ip:2001:db8::1`, is taken along and cut off again. */
const IPV6 = /(?<![\w:.])(?:[A-Za-z]{1,20}:)?[0-9A-Fa-f:.]{3,45}(?![\w:])/g;
const IPV4 = /(?<![\w.-]|[A-Za-z]\/)\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\w|\.\d|-\w)/g;
/** Numbers in four parts that are none. */
const CALLED_VERSION = /\b(?:v|ver|versions?|release|build|firmware|rev|section|article|clause|chapter|§)[.:\s]{0,3}$/i;

/** Internet addresses of both versions, as `node:net` knows them. */
export const findIps: Finder = (text) => [
  ...scan('ip', IPV6, text, (candidate, start) => {
    if (!candidate.includes(':') || !/\d/.test(candidate)) return undefined;
    const whole = candidate.replace(/\.{1,45}$|(?<!:):$/, '');
    if (isIPv6(whole)) return [start, start + whole.length];
    const rest = whole.slice(whole.indexOf(':') + 1);
    return isIPv6(rest) && /\d/.test(rest) ? [start + whole.length - rest.length, start + whole.length] : undefined;
  }),
  ...scan('ip', IPV4, text, (candidate, start) =>
    isIPv4(candidate) && !CALLED_VERSION.test(before(text, start)) ? [start, start + candidate.length] : undefined,
  ),
];

/** Characters of a web address that are looked at. */
const ADDRESS = /[^\s<>"'`\\^{|}]{1,2048}/y;
const SCHEME_MAX = 16;
/** Parameters whose value opens a door. */
const SECRET_NAME =
  /(?:^|[_-])(?:token|key|apikey|sig|signature|hmac|code|otp|pin|session|sessionid|sid|auth|jwt|password|passwd|pwd|secret|ticket|nonce|invite|magic)$/i;
/** Shorter values are choices, not secrets. */
const SECRET_MIN = 6;
/** A part of a path with this many letters and digits in disorder was drawn, and knowing it is what it is for. */
const DRAWN_MIN = 20;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Web addresses that open a door to whoever has them: with a password, a token among the parameters, or a long part that was drawn. */
export const findUrls: Finder = (text) => {
  const found: Finding[] = [];
  let end = 0;
  for (let at = text.indexOf('://'); at >= 0; at = text.indexOf('://', Math.max(at + 3, end))) {
    let start = at;
    while (start > end && at - start < SCHEME_MAX && /[a-z0-9+.-]/i.test(text[start - 1] as string)) start--;
    while (start < at && !/[a-z]/i.test(text[start] as string)) start++;
    ADDRESS.lastIndex = at + 3;
    const rest = (ADDRESS.exec(text)?.[0] ?? '').replace(/[.,;:!?)\]]{1,8}$/, '');
    if (start === at || rest === '') continue;
    end = at + 3 + rest.length;
    if (opensDoor(text.slice(start, end))) found.push({ entity: 'url', start, end });
  }
  return found;
};

function opensDoor(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { username, password, pathname, search, hash } = new URL(address);
  if (password !== '' || (username !== '' && /^https?:/i.test(address))) return true;
  const parameters = [...new URLSearchParams(search), ...new URLSearchParams(hash.replace(/^#!?\/?\??/, ''))];
  return parameters.some(([name, value]) => isSecret(name.replace(/^amp;/, ''), value)) || pathname.split('/').some(isDrawn);
}

function isSecret(name: string, value: string): boolean {
  return value.length >= SECRET_MIN && SECRET_NAME.test(name.replace(/([a-z])([A-Z])/g, '$1-$2'));
}

/** Letters and digits taking turns, as they do in what was drawn and not in names of pages. */
function isDrawn(part: string): boolean {
  if (part.length < DRAWN_MIN || UUID.test(part)) return false;
  return part.split(/[-_.~]/).some((piece) => piece.length >= DRAWN_MIN / 2 && (piece.match(/\d[a-z]|[a-z]\d/gi) ?? []).length >= 2);
}
