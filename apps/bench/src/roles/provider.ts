// The provider both sides call: a stand-in that takes 20 ms for each message.
import { redirectPreload, startFcm, startSendGrid } from '@carillon/testkit';
import { argument, serveRole } from '../role.js';

/** What a worker needs to reach it. */
export interface ProviderPlace {
  /** As Carillon's mains read it. */
  readonly env: Readonly<Record<string, string>>;
  /** Modules to load before a worker's main (`--import`). */
  readonly imports: readonly string[];
}

/** What it has taken. */
export interface Taken {
  /** When each message was taken, ms since the epoch. */
  readonly at: Float64Array;
  /** Connections that brought any. */
  readonly connections: number;
}

/** Milliseconds until a message is answered. */
const LATENCY = 20;

async function startEmail() {
  const sendGrid = await startSendGrid({ latency: LATENCY });
  const env = { EMAIL_FROM_ADDRESS: 'bench@clinic.example', SENDGRID_API_KEY: sendGrid.apiKey, SENDGRID_BASE_URL: sendGrid.baseUrl };
  return {
    place: (): ProviderPlace => ({ env, imports: [] }),
    count: () => sendGrid.accepted.length,
    take: (): Taken => ({ at: Float64Array.from(sendGrid.accepted, ({ at }) => at), connections: sendGrid.connections }),
  };
}

async function startPush() {
  const fcm = await startFcm({ latency: LATENCY });
  return {
    place: (): ProviderPlace => ({ env: { FIREBASE_SERVICE_ACCOUNT: fcm.serviceAccount }, imports: [redirectPreload(fcm.redirects)] }),
    count: () => fcm.sent.length,
    take: (): Taken => ({
      at: Float64Array.from(fcm.sent, ({ at }) => at),
      connections: new Set(fcm.sent.map(({ session }) => session)).size,
    }),
  };
}

serveRole(argument('channel') === 'email' ? await startEmail() : await startPush());
