import type { ChannelModule, Receiver } from '@carillon/channel';
import { email } from '@carillon/email';
import { inApp } from '@carillon/in-app';
import { push } from '@carillon/push';
import type { Config } from '@carillon/service';
import { sms } from '@carillon/sms';

/** Every channel. The one place that knows them all. */
export const channels: readonly ChannelModule[] = [inApp, email, push, sms];

/** Who reads what each provider reports, by the provider's name. */
export function receiversOf(config: Config): Record<string, Receiver> {
  return Object.assign({}, ...channels.map((channel) => channel.receivers?.(config) ?? {}));
}
