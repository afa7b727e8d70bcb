import type { ChannelModule, Provider } from '@carillon/channel';
import { CarillonError, channelDefinition } from '@carillon/contracts';
import type { Config } from '@carillon/service';
import { createSendGrid } from './sendgrid.js';
import { createSendGridReceiver } from './sendgrid-events.js';
import { createSmtp } from './smtp.js';

/** Jobs of one partition at once: each is one call of some 100 ms that costs next to no CPU, so 50 make about 500 mails a second. */
const CONCURRENCY = 50;

/** Every provider, in the order of preference: what it needs to be set, and how it is made; undefined where that is not set. */
const makers: Readonly<
  Record<string, { readonly needs: string; readonly make: (config: Config, from: string) => (() => Provider) | undefined }>
> = {
  sendgrid: {
    needs: 'SENDGRID_API_KEY',
    make: ({ sendgridApiKey: apiKey, sendgridBaseUrl: baseUrl }, from) =>
      apiKey === undefined
        ? undefined
        : () => createSendGrid({ apiKey, from, ...(baseUrl !== undefined && { baseUrl: parsed(baseUrl, 'SENDGRID_BASE_URL') }) }),
  },
  smtp: {
    needs: 'SMTP_URL',
    make: ({ smtpUrl: url }, from) => (url === undefined ? undefined : () => createSmtp({ url: parsed(url, 'SMTP_URL'), from })),
  },
};

/** The email channel. */
export const email: ChannelModule = {
  definition: channelDefinition('email'),
  concurrency: CONCURRENCY,
  providers(config) {
    const named = namesIn(config);
    const providers = [...new Set(named ?? Object.keys(makers))].flatMap((name) => {
      const maker = makers[name];
      const make = maker?.make(config, config.emailFromAddress ?? '');
      if (make === undefined && named)
        throw invalid(`NOTIFICATION_EMAIL_PROVIDERS names ${name}, which needs ${maker?.needs ?? 'to exist'}.`);
      return make ?? [];
    });
    if (providers.length > 0 && config.emailFromAddress === undefined) throw invalid('EMAIL_FROM_ADDRESS is needed to send mail.');
    return providers.map((make) => make());
  },
  rate: ({ rateEmail }) => rateEmail,
  settings: 'EMAIL_FROM_ADDRESS, and SENDGRID_API_KEY or SMTP_URL',
  receivers: ({ sendgridWebhookPublicKey: key }) => (key === undefined ? {} : { sendgrid: createSendGridReceiver(key) }),
  // Of what goes by SMTP nobody reports anything.
  echoes: (config) =>
    config.sendgridApiKey !== undefined && config.sendgridWebhookPublicKey !== undefined && (namesIn(config)?.includes('sendgrid') ?? true),
};

/** The providers that are named, if any are. */
const namesIn = ({ emailProviders }: Config) => emailProviders?.split(',').map((name) => name.trim());

function parsed(url: string, name: string): string {
  if (!URL.canParse(url)) throw invalid(`${name} is no address.`);
  return url;
}

const invalid = (message: string) => new CarillonError('CONFIGURATION_INVALID', { message });
