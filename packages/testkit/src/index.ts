/** Real parts for tests: private Redis servers, clusters, sockets, processes. */
export { freePort } from '@carillon/embedded';
/** A WebSocket as browsers have it, for Node 20, which has none. */
export { WebSocket as NodeWebSocket } from 'ws';
export { openBrowser, type TestBrowser, type TestContext, type TestPage } from './browser.js';
export { type Certificate, makeCertificate } from './certificate.js';
export { type FcmSent, type FcmStandIn, type FcmStep, startFcm } from './fcm.js';
export type { FcmFault, FcmMessage } from './fcm-message.js';
export { FoldingClient, type FoldingClientOptions } from './folding-client.js';
export type { Heard } from './heard.js';
export { type SpawnedProcess, type SpawnOptions, spawnProcess } from './process.js';
export { type Redirect, type RedirectTable, redirectHosts, redirectPreload } from './redirect.js';
export { redisPlaces, startCluster, startRedis, type TestCluster, type TestRedis } from './redis.js';
export { type Overheard, overhear, redisFiles, redisValues } from './redis-traces.js';
export { type SecureRedis, startSecureRedis } from './secure-redis.js';
export {
  type SendGridCall,
  type SendGridMatch,
  type SendGridOptions,
  type SendGridStandIn,
  type SendGridStep,
  startSendGrid,
} from './sendgrid.js';
export type { SendGridEvent, SendGridEventKind, SendGridEvents, SigningOptions } from './sendgrid-events.js';
export type { SendGridMail } from './sendgrid-mail.js';
export { type SmtpMail, type SmtpOptions, type SmtpStage, type SmtpStandIn, type SmtpStep, startSmtp } from './smtp.js';
export { type ReceivedFrame, TestClient } from './test-client.js';
export { startTwilio, type TwilioCallback, type TwilioMessage, type TwilioStandIn, type TwilioStep } from './twilio.js';
export { type WaitOptions, waitFor } from './wait-for.js';
export { startWebPush, type WebPushSent, type WebPushStandIn, type WebPushStep, type WebPushSubscription } from './web-push.js';
