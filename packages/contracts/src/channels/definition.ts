/** How sensitive a field is: anyone's business, personal data, or protected health information. The most sensitive is last. */
export const dataClasses = ['public', 'pii', 'phi'] as const;
export type DataClass = (typeof dataClasses)[number];

/** The most sensitive of some classes; undefined where none is given. */
export function highestOf(classes: Iterable<DataClass | undefined>): DataClass | undefined {
  const given = new Set(classes);
  return dataClasses.findLast((one) => given.has(one));
}

/** What identifies a recipient: the user id itself, a mail address, a phone number, an FCM installation, a Web Push subscription. */
export type AddressKind = 'user' | 'email' | 'phone' | 'fcm' | 'web';

/** One field of what a channel shows, and how it comes about from a template: from the field of this name in the channel's own part, else from `base`. */
export interface ContentField {
  /** `html` fields have their values escaped; `text` fields are taken as they are. */
  readonly format: 'text' | 'html';
  /** The part every template has, used where the channel's own part says nothing; without one the field is then left out. */
  readonly base?: 'title' | 'body';
  /** Header-bound or one line on a screen: control characters and line breaks are refused. */
  readonly singleLine: boolean;
  /** Followed when it is tapped: an http(s) address or a path beginning with one slash, as the `url` of a request. */
  readonly link?: true;
}

/** What to do with a delivery of which nobody knows whether it was sent: send it again, or leave it at that for a person to see. */
export type OnUnknown = 'resend' | 'hold';

/**
 * What makes a channel. Shared code reads this and never asks for a channel by name.
 */
export interface ChannelDefinition {
  readonly name: string;
  /** The kinds of address it reaches, each with how many deliveries one job carries at most (K): 1 where one job is one provider call. */
  readonly addresses: Readonly<Partial<Record<AddressKind, number>>>;
  readonly content: Readonly<Record<string, ContentField>>;
  /** Fields of the channel's own part of a template that are handed on as they are, for the provider. */
  readonly options: readonly string[];
  /** The most sensitive class the channel may carry. */
  readonly highestClass: DataClass;
  /** Whether the recipient is given the notification's `data` as well as its content. */
  readonly carriesData: boolean;
  /** Bytes the content may have as JSON; checked when it is rendered. */
  readonly maxBytes?: number;
  /** What to do where the outcome is unknown, unless the template says otherwise. `resend` where a repeat replaces or shows nothing twice. */
  readonly onUnknown: OnUnknown;
  /** How long the provider's own word on an unknown outcome is waited for before that, ms. */
  readonly awaitEcho: number;
}

/** Whether a channel may carry data of a class. */
export function mayCarry({ highestClass }: Pick<ChannelDefinition, 'highestClass'>, dataClass: DataClass): boolean {
  return dataClasses.indexOf(dataClass) <= dataClasses.indexOf(highestClass);
}

/** Whether it reaches the user itself, inside our own Redis: no provider, always an address, and no message that leaves the house. */
export function isDirect({ addresses }: Pick<ChannelDefinition, 'addresses'>): boolean {
  return addresses.user !== undefined;
}
