import { type ChannelDefinition, type DataClass, highestOf, mayCarry } from '@carillon/contracts';
import type { Voucher } from './templates.js';

/** Letters and digits below which a text may stand within a longer one by chance. */
const SHORT = 7;
const BETWEEN = /[^\p{L}\p{N}]/gu;
const IN_WORD = /[\p{L}\p{N}]/u;

/** A declared field: its class, if it has or counts as one, and all that its value is written as. */
export interface Held {
  readonly class: DataClass | undefined;
  readonly forms: readonly string[];
}

/**
 * Tells who answers on a channel for a text that was found, given in all its writings: nobody if a field holds it whose class must not go there,
 * else the template's own words, else the highest class of the fields that hold it.
 */
export function createVoucher(channel: ChannelDefinition, ownWords: readonly string[], fields: readonly Held[]): Voucher {
  const secret = fields.flatMap(({ class: of, forms }) => (of && !mayCarry(channel, of) ? forms : []));
  const bareSecret = secret.map(bare);
  const isSecret = (found: string) => {
    const sought = bare(found);
    return secret.some((form) => holds(form, found)) || (sought.length >= SHORT && bareSecret.some((form) => form.includes(sought)));
  };
  return (found) => {
    if (found.some(isSecret)) return undefined;
    const holdOne = (texts: readonly string[]) => texts.some((text) => found.some((one) => holds(text, one)));
    if (holdOne(ownWords)) return 'text';
    return highestOf(fields.filter(({ forms }) => holdOne(forms)).map((field) => field.class));
  };
}

/** Whether a text holds another; a short one as words of their own. */
function holds(text: string, found: string): boolean {
  if (bare(found).length >= SHORT) return text.includes(found);
  for (let at = text.indexOf(found); at >= 0; at = text.indexOf(found, at + 1))
    if (!IN_WORD.test(text[at - 1] ?? '') && !IN_WORD.test(text[at + found.length] ?? '')) return true;
  return false;
}

/** Without the signs between letters and digits, which may be others elsewhere. */
function bare(text: string): string {
  return text.replace(BETWEEN, '').toLowerCase();
}
