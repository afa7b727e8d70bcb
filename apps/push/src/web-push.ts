import type { IncomingMessage } from 'node:http';
import { type Agent, request } from 'node:https';
import {
  failed,
  handEach,
  type Message,
  meaningOfStatus,
  Proof,
  type Provider,
  type Sent,
  type WatchedConnections,
  watchConnections,
} from '@carillon/channel';
import type { ErrorCode } from '@carillon/contracts';
import webPush, { type PushSubscription, type RequestDetails } from 'web-push';
import { refused } from './call.js';
import { NOT_PUBLIC, PublicOnlyAgent } from './public-only.js';
import { shownOf, urgencyOf } from './show.js';
import type { Vapid } from './vapid.js';

/** How long a push service keeps a message for a browser that is away, s: four weeks, the most they keep and what FCM does. */
const TTL = 28 * 24 * 3600;
/** Bytes read of an answer, which says nothing we need beyond its head. */
const MAX_ANSWER = 64 * 1024;
/** How long its rest may take, ms: enough for the connection to be of use again, and not so long that slow ones take up all there are. */
const REST_MS = 1_500;

/** How a request is made. */
interface Way {
  readonly agent: Agent;
  readonly connections: WatchedConnections;
  readonly proof: Proof;
  readonly signal: AbortSignal;
}

/** Web Push (RFC 8030, 8291, 8292): one request per message. `web-push` signs and encrypts. */
export function webPushProvider(vapid: Vapid): Provider {
  const agent = new PublicOnlyAgent();
  const connections = watchConnections([agent]);
  const proof = new Proof();
  return {
    name: 'web-push',
    kinds: ['web'],
    peerOf: ({ value }) => hostOf(value),
    send: (messages, signal) =>
      handEach(messages, signal, async (message) => {
        const details = prepare(message, vapid);
        return details
          ? post(details, { agent, connections, proof, signal })
          : failed('ADDRESS_UNREACHABLE', 'Web Push: not a subscription');
      }),
    async close() {
      connections.close();
    },
  };
}

/** The request to make; undefined if the address is no subscription that can be encrypted for. */
function prepare(message: Message, vapidDetails: Vapid): RequestDetails | undefined {
  const payload = JSON.stringify({ ...shownOf(message), tag: message.tag });
  const urgency = urgencyOf(message.item.priority);
  try {
    const subscription = JSON.parse(message.to.value) as PushSubscription;
    if (!subscription.endpoint.startsWith('https://')) return undefined;
    return webPush.generateRequestDetails(subscription, payload, { vapidDetails, TTL, urgency, topic: message.tag });
  } catch {
    return undefined;
  }
}

/** Not by the SDK's own call: that has no deadline, and reads answers of any length from whoever the endpoint belongs to. */
function post({ endpoint, method, headers, body }: RequestDetails, { agent, connections, proof, signal }: Way): Promise<Sent> {
  return new Promise((resolve) => {
    const call = request(endpoint, { method, headers, agent, signal });
    call.once('response', (response) => {
      const late = setTimeout(() => response.destroy(), REST_MS);
      response.once('close', () => clearTimeout(late));
      let read = 0;
      response.on('data', (part: Buffer) => {
        read += part.length;
        if (read > MAX_ANSWER) response.destroy();
      });
      response.once('error', () => {});
      resolve(outcomeOf(response, proof));
    });
    call.on('error', (error: NodeJS.ErrnoException) =>
      resolve(failed(verdictOf(error, connections.mayHaveLeft(call)), `Web Push: ${error.code ?? 'no code'}`)),
    );
    call.end(body);
  });
}

function outcomeOf({ statusCode: status = 0, headers }: IncomingMessage, proof: Proof): Sent {
  if (status >= 200 && status < 300) {
    proof.found();
    return { ok: true };
  }
  return refused(verdictOfStatus(status, proof.holds()), `Web Push: answered ${status}`, headers);
}

/** https://pushpad.xyz/blog/web-push-errors-explained-with-http-status-codes/; redirects are not followed. */
function verdictOfStatus(status: number, proven: boolean): ErrorCode {
  if (status === 404 || status === 410) return 'ADDRESS_UNREACHABLE';
  const meaning = meaningOfStatus(status) ?? 'PROVIDER_REFUSED';
  // Whoever redirects, or has no such method, is one push service, or anybody's endpoint: it must not stop everybody's messages either.
  const isOurs = !proven && (status === 401 || status === 403);
  return meaning === 'PROVIDER_MISCONFIGURED' && !isOurs ? 'PROVIDER_REFUSED' : meaning;
}

function verdictOf({ code }: NodeJS.ErrnoException, mayHaveLeft: boolean): ErrorCode {
  // Not as unreachable, which would remove it: behind some networks every name leads inside for a while.
  if (code === NOT_PUBLIC) return 'PROVIDER_REFUSED';
  return mayHaveLeft ? 'PROVIDER_OUTCOME_UNKNOWN' : 'PROVIDER_UNAVAILABLE';
}

/** A push service is somebody else's, and one that is away says nothing of the others. */
function hostOf(subscription: string): string {
  try {
    return new URL((JSON.parse(subscription) as PushSubscription).endpoint).host;
  } catch {
    return '';
  }
}
