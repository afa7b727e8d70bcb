import { randomUUID } from 'node:crypto';
import type { ClientHttp2Session } from 'node:http2';
import { CALL_TIMEOUT_MS, failed, type Message, Proof, type Provider, type Sent, unlessAborted } from '@carillon/channel';
import type { App, Credential } from 'firebase-admin/app';
import type { Message as FcmMessage, Messaging } from 'firebase-admin/messaging';
import { fcmFailure, tokenFailure } from './fcm-answer.js';
import { fcmMessage, readTarget } from './fcm-message.js';
import type { ServiceAccount } from './service-account.js';

/** Messages the SDK takes at once. */
const MAX_BATCH = 500;
/** Silence after which one message's answer is given up, ms: early enough that those of its batch are still told apart. */
const ANSWER_TIMEOUT_MS = CALL_TIMEOUT_MS - 2_000;

interface Client {
  readonly app: App;
  readonly credential: Credential;
  readonly messaging: Messaging;
  readonly proof: Proof;
}

/** Firebase Cloud Messaging, over `firebase-admin`: all messages of a call go through one HTTP/2 session. */
export function fcmProvider(account: ServiceAccount): Provider {
  let opening: Promise<Client> | undefined;
  return {
    name: 'fcm',
    kinds: ['fcm'],
    async send(messages, signal) {
      opening ??= open(account);
      const client = await opening.catch(() => undefined);
      if (!client) return messages.map(() => failed('PROVIDER_MISCONFIGURED', 'FCM: the SDK cannot be opened'));
      // Apart from the sending, because without it nothing can have been sent.
      const problem = await unlessAborted(accessProblem(client), signal);
      if (problem !== 'none') return messages.map(() => problem ?? failed('PROVIDER_UNAVAILABLE', 'FCM: no access token in time'));
      return sendAll(client, messages, signal);
    },
    async close() {
      const opened = opening;
      opening = undefined;
      const client = await opened?.catch(() => undefined);
      if (client) await (await import('firebase-admin/app')).deleteApp(client.app);
    },
  };
}

/** Imported when it is needed: the SDK is large, and most processes never push. */
async function open({ projectId, privateKey, clientEmail }: ServiceAccount): Promise<Client> {
  const [{ cert, initializeApp }, { getMessaging }] = await Promise.all([import('firebase-admin/app'), import('firebase-admin/messaging')]);
  const credential = cert({ projectId, privateKey, clientEmail });
  // A name of its own: the SDK keeps apps by name, one process may have several.
  const app = initializeApp({ credential, projectId }, `carillon-${randomUUID()}`);
  const messaging = getMessaging(app);
  tryOnce(messaging);
  return { app, credential, messaging, proof: new Proof() };
}

/** What of the SDK's insides is touched here. */
interface Insides {
  readonly messagingRequestHandler?: { readonly http2Client?: Http2Client };
}
interface Http2Client {
  readonly retry?: { maxRetries: number };
  send(request: Http2Request): Promise<unknown>;
}
interface Http2Request {
  readonly http2SessionHandler?: { readonly session?: ClientHttp2Session };
}

/**
 * The SDK has no settings for it, but it tries four times more by itself, for up to minutes, and goes on after a caller has given up: what was
 * cancelled meanwhile would still go out. And it waits for ever for answers of a connection that was closed. If its insides change, the tests
 * say so, and until then the caller's signal holds.
 */
function tryOnce(messaging: Messaging): void {
  const client = (messaging as unknown as Insides).messagingRequestHandler?.http2Client;
  if (!client?.retry) return;
  client.retry.maxRetries = 0;
  const send = client.send.bind(client);
  const losses = new WeakMap<ClientHttp2Session, Promise<never>>();
  client.send = (request) => {
    const answer = send({ ...request, timeout: ANSWER_TIMEOUT_MS } as Http2Request);
    const session = request.http2SessionHandler?.session;
    if (!session) return answer;
    const loss = losses.get(session) ?? lossOf(session);
    losses.set(session, loss);
    return Promise.race([answer, loss]);
  };
}

/** Fails once the session is closed, after what it still had to tell. */
function lossOf(session: ClientHttp2Session): Promise<never> {
  return new Promise((_, reject) => {
    session.once('close', () => setImmediate(reject, Object.assign(new Error('The session was closed.'), { code: 'ECONNRESET' })));
  });
}

/** The credential keeps its token and fetches another in time. */
function accessProblem({ credential }: Client): Promise<Sent | 'none'> {
  return credential.getAccessToken().then(() => 'none' as const, tokenFailure);
}

async function sendAll(client: Client, messages: readonly Message[], signal: AbortSignal): Promise<Sent[]> {
  const built = messages.map((message) => {
    const target = readTarget(message.to);
    if (!target) return failed('ADDRESS_UNREACHABLE', 'FCM: neither a token nor an installation');
    return fcmMessage(message, target) ?? failed('PROVIDER_REFUSED', 'FCM: larger than it takes');
  });
  const ready = built.filter((one): one is FcmMessage => !('ok' in one));
  const batches = Array.from({ length: Math.ceil(ready.length / MAX_BATCH) }, (_, i) => ready.slice(i * MAX_BATCH, (i + 1) * MAX_BATCH));
  const answers = (await Promise.all(batches.map((batch) => sendBatch(client, batch, signal)))).flat();
  return built.map((one) => ('ok' in one ? one : (answers.shift() as Sent)));
}

async function sendBatch({ messaging, proof }: Client, batch: FcmMessage[], signal: AbortSignal): Promise<Sent[]> {
  try {
    const answer = await unlessAborted(messaging.sendEach(batch), signal);
    if (!answer) return batch.map(() => failed('PROVIDER_OUTCOME_UNKNOWN', 'FCM: no answer in time'));
    if (answer.successCount > 0) proof.found();
    return answer.responses.map(({ success, messageId, error }): Sent => {
      if (!success) return fcmFailure(error, proof.holds());
      return messageId === undefined ? { ok: true } : { ok: true, providerMessageId: messageId };
    });
  } catch (error) {
    return batch.map(() => fcmFailure(error, proof.holds()));
  }
}
