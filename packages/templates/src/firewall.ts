import { type ChannelDefinition, type ContentField, type DataClass, mayCarry, type Template } from '@carillon/contracts';
import type { Source } from './source.js';
import { isTag, type Token } from './tokens.js';

/** Where fields without a class may go: `standard` anywhere, `strict` where health information may. */
export type PhiPolicy = 'standard' | 'strict';

/** What must not leave by a channel: the field, and how the template can do without it there. For an error, so without any value. */
export interface Leak {
  readonly field: string;
  readonly message: string;
}

/** One text that a channel shows in one language. */
interface Part {
  readonly name: string;
  readonly field: ContentField;
  readonly source: Source;
}

/** Keeps the fields of one template from leaving by channels that may not carry them. Nothing of it is done per notification. */
export interface Firewall {
  /** The first field that these texts would show, or ask for in a section, and that the channel may not carry. */
  leak(channel: ChannelDefinition, parts: readonly Part[]): Leak | undefined;
  /** Whether what a request brings that is no declared field, such as its link, may leave by a channel. */
  admitsUnclassed(channel: ChannelDefinition): boolean;
  /** The class a field was declared with, or counts as having; undefined if it may go anywhere because it has none. */
  classOf(name: string): DataClass | undefined;
}

/** The firewall of a template. A field is known by its name's first step: `{{startsAt.date}}` shows `startsAt`. */
export function createFirewall({ fields = {} }: Template, policy: PhiPolicy): Firewall {
  const unclassed: DataClass = policy === 'strict' ? 'phi' : 'public';
  const declared = (name: string) => (Object.hasOwn(fields, name) ? fields[name]?.class : undefined);
  return {
    leak(channel, parts) {
      for (const part of parts) {
        const name = fieldsIn(part.source.tokens).find((one) => !mayCarry(channel, declared(one) ?? unclassed));
        if (name !== undefined) return leakOf(name, declared(name), channel.name, part);
      }
      return undefined;
    },
    admitsUnclassed: (channel) => mayCarry(channel, unclassed),
    classOf: (name) => declared(name) ?? (policy === 'strict' ? unclassed : undefined),
  };
}

function leakOf(name: string, dataClass: DataClass | undefined, channel: string, { name: part, field, source }: Part): Leak {
  const path = `fields.${name}`;
  const is = dataClass ? `is ${dataClass}` : 'has no class, which counts as phi here,';
  // Where it stands in the channel's own words, in whatever language, these are to change; else the channel needs words of its own.
  const own = `${channel}.${part}`;
  const remedy = `${source.path.endsWith(own) ? source.path : own} without it${field.format === 'html' ? ' and without partials that hold it' : ''}`;
  return {
    field: path,
    message: `${path}: ${is} and must not leave by ${channel}; say ${remedy}${dataClass ? '' : ', or give it a class'}`,
  };
}

/** The names of the fields that tags show or ask for, in order. In a section over a list `{{.}}` is of the list, whose name stands before it. */
function fieldsIn(tokens: readonly Token[]): string[] {
  return tokens.flatMap((token) => (isTag(token) ? [token[1].split('.')[0] as string, ...fieldsIn(token[4] ?? [])] : []));
}
