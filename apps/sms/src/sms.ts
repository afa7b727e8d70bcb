import { allOrNone, type ChannelModule } from '@carillon/channel';
import { channelDefinition } from '@carillon/contracts';
import type { Config } from '@carillon/service';
import { createTwilio, type TwilioOptions } from './twilio.js';
import { createTwilioReceiver } from './twilio-receiver.js';

/** Jobs worked on at once per partition: each is one call of about a tenth of a second, and Twilio allows about a hundred at once. */
const CONCURRENCY = 16;

/** The SMS channel, through Twilio. */
export const sms: ChannelModule = {
  definition: channelDefinition('sms'),
  concurrency: CONCURRENCY,
  settings: 'TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM',
  rate: (config) => config.rateSms,
  providers(config) {
    const account = accountOf(config);
    if (account === undefined) return [];
    const callback = config.publicUrl && `${config.publicUrl}/v1/providers/twilio/events`;
    return [createTwilio({ ...account, ...(callback && { callback }) })];
  },
  receivers: (config): ReturnType<NonNullable<ChannelModule['receivers']>> =>
    config.twilioAuthToken === undefined ? {} : { twilio: createTwilioReceiver(config.twilioAuthToken) },
  // Twilio reports where a message tells it to, and that is our public address.
  echoes: ({ publicUrl }) => publicUrl !== undefined,
};

/** All three settings or none. */
function accountOf({ twilioAccountSid, twilioAuthToken, twilioFrom }: Config): TwilioOptions | undefined {
  const set = allOrNone({ TWILIO_ACCOUNT_SID: twilioAccountSid, TWILIO_AUTH_TOKEN: twilioAuthToken, TWILIO_FROM: twilioFrom });
  return set && { accountSid: set.TWILIO_ACCOUNT_SID, authToken: set.TWILIO_AUTH_TOKEN, from: set.TWILIO_FROM };
}
