import { type ContentField, channelDefinition, channelNames, type Template, type TemplateVariant } from '@carillon/contracts';

/** The text parts a template and its variants have in common. */
export type Wording = Template | TemplateVariant;

/** The texts a wording has for single channels, by `<channel>.<field>`. */
export function channelTexts(wording: Wording): { key: string; channel: string; field: ContentField; text: string }[] {
  return channelNames.flatMap((channel) =>
    Object.entries(channelDefinition(channel).content).flatMap(([name, field]) => {
      const text = partOf(wording, channel)[name];
      return text === undefined ? [] : [{ key: `${channel}.${name}`, channel, field, text }];
    }),
  );
}

/** What a wording says for a channel in particular. */
export function partOf(wording: Wording, channel: string): Readonly<Record<string, string | undefined>> {
  return (wording as unknown as Record<string, Record<string, string> | undefined>)[channel] ?? {};
}
