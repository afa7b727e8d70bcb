/** What the interface answers, as far as the page looks at it. */

export type Channel = 'in_app' | 'email' | 'push' | 'sms';
export type DeliveryStatus =
  | 'pending'
  | 'held'
  | 'sending'
  | 'sent'
  | 'delivered'
  | 'bounced'
  | 'failed'
  | 'skipped'
  | 'canceled'
  | 'expired'
  | 'unknown';

export type Scope = 'send' | 'read' | 'admin';
export interface Session {
  readonly signedIn: boolean;
  readonly scopes?: readonly Scope[];
}
/** Whether the key of the session has a scope. */
export type May = (scope: Scope) => boolean;

export interface Field {
  readonly type: 'text' | 'datetime' | 'number' | 'url';
  readonly class?: 'public' | 'pii' | 'phi';
  readonly optional?: boolean;
}

type Words = Readonly<Record<string, unknown>>;

export interface Template {
  readonly id: string;
  readonly title: string;
  readonly body: string;
  readonly channels: readonly Channel[];
  readonly fields?: Readonly<Record<string, Field>>;
  readonly email?: Words;
  readonly push?: Words;
  readonly sms?: Words;
  readonly locales?: Words;
}

/** Times are ms since the epoch. */
export interface Delivery {
  readonly channel: Channel;
  readonly address: string | null;
  readonly status: DeliveryStatus;
  readonly reason: string | null;
  readonly explanation: string | null;
  readonly attempts: number;
  readonly provider: string | null;
  readonly providerMessageId: string | null;
  readonly at: number;
  readonly times: Readonly<Partial<Record<DeliveryStatus, number>>>;
}

export interface NotificationRecord {
  readonly id: string;
  readonly templateId: string;
  readonly status: string;
  readonly createdAt: number;
  readonly deliveries: readonly Delivery[];
}

export interface Page<T> {
  readonly data: readonly T[];
  readonly nextCursor: string | null;
}

/** A message that was kept instead of being sent. */
export interface KeptMessage {
  readonly content: Readonly<Record<string, string>>;
}
