/** How sensitive a field is: anyone's business, personal data, or protected health information. */
export type DataClass = 'public' | 'pii' | 'phi';

/** One field of what a channel shows, and how it comes about from a template. */
export interface ContentField {
  /** `html` fields have their values escaped; `text` fields are taken as they are. */
  readonly format: 'text' | 'html';
  /** The part of the template the field is rendered from. */
  readonly from: 'title' | 'body';
  /** Header-bound or one line on a screen: control characters and line breaks are refused. */
  readonly singleLine: boolean;
}

/**
 * What makes a channel. Shared code reads this and never asks for a channel by name.
 */
export interface ChannelDefinition {
  readonly name: string;
  /** What identifies a recipient on this channel. */
  readonly address: 'user' | 'email' | 'phone' | 'device';
  readonly content: Readonly<Record<string, ContentField>>;
  /** The most sensitive class the channel may carry. */
  readonly highestClass: DataClass;
  /** Notifications one job carries at most (K). 1 where one job is one provider call. */
  readonly itemsPerJob: number;
  /** Whether the recipient is given the notification's `data` as well as its content. */
  readonly carriesData: boolean;
}
