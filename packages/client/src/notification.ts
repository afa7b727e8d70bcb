// Copies of what the service's contracts say, so that this package needs nothing; a test holds both equal.

export type Channel = 'in_app' | 'email' | 'push' | 'sms';
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** A notification as its recipient sees it. Times are ms since the epoch. */
export interface Notification {
  id: string;
  userId: string;
  templateId: string;
  title: string;
  body: string;
  data: Record<string, Json>;
  channels: Channel[];
  priority: 'low' | 'normal' | 'high' | 'urgent';
  category: string | null;
  threadId: string | null;
  tags: string[];
  url: string | null;
  status: 'read' | 'delivered' | 'pending' | 'failed' | 'skipped' | 'canceled' | 'expired';
  createdAt: number;
  deliveredAt: number | null;
  readAt: number | null;
  seenAt: number | null;
  archivedAt: number | null;
  error: string | null;
}

/** What a list is narrowed to; what is absent does not narrow. */
export interface Filter {
  unread?: boolean;
  archived?: boolean;
  category?: string;
  threadId?: string;
  tag?: string;
  /** Created at that time or later, ms since the epoch. */
  since?: number;
}

/** What a user wants. What is absent is wanted. */
export interface Preferences {
  mute?: boolean;
  channels?: { [channel in Channel]?: boolean };
  categories?: Record<string, boolean | { [channel in Channel]?: boolean }>;
}
