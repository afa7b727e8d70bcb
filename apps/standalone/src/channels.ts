import type { ChannelModule, Receiver } from '@carillon/channel';
import { CarillonError } from '@carillon/contracts';
import { email } from '@carillon/email';
import { inApp } from '@carillon/in-app';
import { push } from '@carillon/push';
import type { Config } from '@carillon/service';
import { sms } from '@carillon/sms';

/** Every channel. The one place that knows them all. */
export const channels: readonly ChannelModule[] = [inApp, email, push, sms];

/** Looks at the settings of all providers before anything is started. @throws CONFIGURATION_INVALID with all that is wrong, a line each */
export function checkProviders(config: Config): void {
  const problems = channels.flatMap((channel) => {
    try {
      channel.providers?.(config);
      return [];
    } catch (error) {
      if (error instanceof CarillonError && error.code === 'CONFIGURATION_INVALID') return [error.message];
      throw error;
    }
  });
  if (problems.length > 0) throw new CarillonError('CONFIGURATION_INVALID', { message: problems.join('\n') });
}

/** Who reads what each provider reports, by the provider's name. */
export function receiversOf(config: Config): Record<string, Receiver> {
  return Object.assign({}, ...channels.map((channel) => channel.receivers?.(config) ?? {}));
}
