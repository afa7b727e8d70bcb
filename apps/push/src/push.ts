import type { ChannelModule } from '@carillon/channel';
import { push as definition } from '@carillon/contracts';
import { fcmProvider } from './fcm.js';
import { readServiceAccount } from './service-account.js';
import { readVapid } from './vapid.js';
import { webPushProvider } from './web-push.js';

/** The push channel: phones and browsers by FCM, browsers by Web Push. Each reaches its own addresses, so none stands in for the other. */
export const push: ChannelModule = {
  definition,
  // A Web Push job is one message in flight for about a tenth of a second, and an FCM job up to a hundred in one session: 500 and 50,000 a
  // second, more than a core encrypts. A killed worker repeats at most this many jobs.
  concurrency: 50,
  providers(config) {
    const account = config.firebaseServiceAccount;
    const vapid = readVapid(config);
    return [...(account ? [fcmProvider(readServiceAccount(account))] : []), ...(vapid ? [webPushProvider(vapid)] : [])];
  },
  rate: (config) => config.ratePush,
  settings: 'FIREBASE_SERVICE_ACCOUNT for FCM; VAPID_PUBLIC_KEY, VAPID_PRIVATE_KEY and VAPID_SUBJECT for Web Push',
};
