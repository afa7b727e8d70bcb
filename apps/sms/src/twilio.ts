import {
  CALL_TIMEOUT_MS,
  failed,
  handEach,
  type Message,
  Proof,
  type Provider,
  type Sent,
  unlessAborted,
  type WatchedConnections,
  watchConnections,
} from '@carillon/channel';
import type { Twilio } from 'twilio';
import { refusalOf } from './twilio-codes.js';

export interface TwilioOptions {
  readonly accountSid: string;
  readonly authToken: string;
  /** A number, a short code, a sender id, or a messaging service (`MG…`). */
  readonly from: string;
  /** Where Twilio reports to; absent where it cannot reach us. */
  readonly callback?: string;
}

const MESSAGING_SERVICE = /^MG[0-9a-f]{32}$/i;

/** Twilio as a provider: one call per message, each tried once. */
export function createTwilio({ accountSid, authToken, from, callback }: TwilioOptions): Provider {
  const sender = MESSAGING_SERVICE.test(from) ? { messagingServiceSid: from } : { from };
  const proof = new Proof();
  let opening: Promise<Opened> | undefined;

  const hand = async ({ client, connections }: Opened, { item, to, ref }: Message, signal: AbortSignal): Promise<Sent> => {
    const statusCallback = callback && `${callback}?ref=${encodeURIComponent(ref)}`;
    const message = { to: to.value, body: item.content.text ?? '', ...sender, ...(statusCallback && { statusCallback }) };
    try {
      // The SDK takes no signal: its own limit, the same time, ends what is given up here.
      const taken = await unlessAborted(client.messages.create(message), signal);
      if (!taken) return failed('PROVIDER_OUTCOME_UNKNOWN', 'Twilio did not answer in time.');
      proof.found();
      return { ok: true, providerMessageId: taken.sid };
    } catch (thrown) {
      if (thrown instanceof Refusal) return refusalOf(thrown.answer, proof.holds());
      // Messages and causes of what the HTTP client throws hold the whole request.
      return connections.mayHaveLeft((thrown as { request?: unknown }).request)
        ? failed('PROVIDER_OUTCOME_UNKNOWN', 'The message was handed to Twilio, and the answer did not come or was no answer.')
        : failed('PROVIDER_UNAVAILABLE', 'No connection to Twilio could be made.');
    }
  };

  return {
    name: 'twilio',
    kinds: ['phone'],
    async send(messages, signal) {
      opening ??= open(accountSid, authToken);
      const opened = await opening.catch(() => undefined);
      if (!opened) return messages.map(() => failed('PROVIDER_MISCONFIGURED', "Twilio's SDK does not take the account's settings."));
      return handEach(messages, signal, (message) => hand(opened, message, signal));
    },
    async close() {
      (await opening?.catch(() => undefined))?.connections.close();
    },
  };
}

/** An answer other than success. */
class Refusal extends Error {
  readonly answer: Parameters<typeof refusalOf>[0];

  constructor(answer: Refusal['answer']) {
    super('Twilio answered with a refusal.');
    this.answer = answer;
  }
}

interface Opened {
  readonly client: Twilio;
  readonly connections: WatchedConnections;
}

/** The SDK is large: whoever sends no text messages does without. */
async function open(accountSid: string, authToken: string): Promise<Opened> {
  const { default: twilio } = await import('twilio');
  // As many connections as there are jobs: waiting for one would count as waiting for the answer.
  const limits = { timeout: CALL_TIMEOUT_MS, maxSockets: Infinity, maxTotalSockets: Infinity };
  const httpClient = new twilio.RequestClient({ ...limits, autoRetry: false });
  const request = httpClient.request.bind(httpClient);
  // The SDK's own errors tell nothing of the headers, `Retry-After` among them.
  httpClient.request = async (options) => {
    const response = await request(options);
    if (response.statusCode < 200 || response.statusCode > 299) throw new Refusal(response);
    return response;
  };
  const client = twilio(accountSid, authToken, { httpClient });
  return { client, connections: watchConnections([httpClient.axios.defaults.httpsAgent]) };
}
