import { createECDH } from 'node:crypto';
import { waitFor } from '@carillon/testkit';
import { expect } from '@jest/globals';
import { phone, publicUrl, request, stranger, visit, type World } from './canary-world.js';
import { deliveryOf, end, settled, signIn } from './system.js';

/** Registers a person and sends a first notification; all of it arrives. */
export async function arrive(world: World) {
  const { canaries, stores } = world;
  const known = (name: string) => canaries.text(name, 'person');
  expect((await world.ask('answers', 'PUT', '/v1/templates/visit', visit)).status).toBe(200);
  const profile = {
    email: `${known('email')}@${known('domain')}.example`,
    phone: phone(canaries.digits('phone', 'person')),
    name: known('name'),
  };
  expect((await world.ask(undefined, 'PUT', '/v1/users/ann', profile)).status).toBe(200);
  const device = { fcm: { token: known('device token') }, platform: 'android' };
  expect((await world.ask('answers', 'POST', '/v1/users/ann/devices', device)).status).toBe(200);
  const preferences = { categories: { [known('category of preferences')]: { email: false } } };
  expect((await world.ask(undefined, 'PUT', '/v1/users/ann/preferences', preferences)).status).toBe(200);

  const { client } = await signIn(world.sockets, 'ann');
  const { client: other } = await signIn(world.sockets, 'zoe');
  const asked = request(world, 'ann');
  const id = await world.queue(asked);
  await settled(stores, id, 'in_app', 'delivered');
  for (const channel of ['email', 'push', 'sms']) await settled(stores, id, channel, 'sent');
  const frame = await client.next(({ event }) => event === 'new');
  const { text: listed } = await world.ask(undefined, 'GET', '/v1/users/ann/notifications');
  await world.ask('status', 'GET', `/v1/notifications/${id}`);
  world.controls.push([/^status$/, id], [/^metrics$/, 'carillon_'], [/^output$/, 'PROVIDER_REFUSED'], [/^commands$/, id]);
  world.controls.push([/^audit trail$/, id], [/^file audit/, id]);
  // What she hears of her own comes behind all that she could have heard of ann's.
  const greeting = { diagnosis: 'nothing', dose: 0, therapist: 'nobody', clinic: 'none' };
  const her = await world.queue({ userId: 'zoe', templateId: 'visit', data: greeting, channels: ['in_app'] });
  await other.next(({ event, data }) => event === 'new' && data.id === her);
  world.evidence.add('socket of another user', JSON.stringify(other.frames));
  world.controls.push([/^socket of another user$/, her]);
  const own = [
    asked.data.diagnosis,
    asked.data.dose.toLocaleString('en-US'),
    asked.data.therapist,
    asked.category,
    asked.threadId,
    asked.url,
    ...asked.tags,
  ];
  return { client, missing: () => own.filter((text) => !listed.includes(text) || !JSON.stringify(frame).includes(text)) };
}

/** Waits until a try has failed, and another one is to come. */
const hasFailedOnce = ({ stores }: World, id: string, channel: string) =>
  waitFor(
    async () => {
      const delivery = await deliveryOf(stores, id, channel);
      return delivery !== undefined && delivery.attempts > 0 && ['pending', 'held'].includes(delivery.status);
    },
    // Whoever looks for a name that there is not may have to wait for the answer.
    { timeout: 30_000, what: `a first try of ${channel}` },
  );

/** Providers that refuse or are down, and quote in their answers what they were sent. */
export async function meetFailures(world: World) {
  await changeProviders(world);
  await beRefused(world);
  await missABrowser(world);
  await bePutOff(world);
}

/** A mail that goes by the other provider, and a push that goes to a browser. */
async function changeProviders(world: World) {
  const { stores, sendgrid, webPush, vapidPublicKey } = world;
  const lea = stranger(world, 'lea');
  sendgrid.script({ match: lea.to.email, next: { status: 503 } });
  const mailed = await world.queue(lea.asked);
  expect(await settled(stores, mailed, 'email', 'sent')).toMatchObject({ provider: 'smtp' });
  const web = webPush.subscribe(vapidPublicKey);
  expect((await world.ask('answers', 'POST', '/v1/users/kim/devices', { web })).status).toBe(200);
  await settled(stores, await world.queue(request(world, 'kim')), 'push', 'sent');
}

/** What is given up at once; of it, a push is tried again. */
async function beRefused(world: World) {
  const { stores, sendgrid, fcm, twilio, canaries } = world;
  const carl = stranger(world, 'carl');
  sendgrid.script({
    match: carl.to.email,
    next: { status: 400, body: { errors: [{ message: `${carl.to.email} ${carl.asked.data.therapist}`, field: carl.to.email }] } },
  });
  twilio.script({ status: 400, code: 21602, text: `${carl.to.phone} ${carl.asked.data.clinic}` });
  const refused = await world.queue(carl.asked);
  for (const channel of ['email', 'sms']) await settled(stores, refused, channel, 'failed');
  world.controls.push([/^failed list$/, refused]);

  const token = canaries.text('device token (dora)', 'person');
  expect((await world.ask('answers', 'POST', '/v1/users/dora/devices', { fcm: { token } })).status).toBe(200);
  fcm.script({ status: 400, text: `no message can be sent to ${token}` });
  const pushed = await world.queue(request(world, 'dora'));
  await settled(stores, pushed, 'push', 'failed');
  await world.look('given up');
  expect((await world.ask('answers', 'POST', '/v1/failed/retry', { channel: 'push' })).status).toBe(200);
  await settled(stores, pushed, 'push', 'sent');
}

/** Mails that neither provider takes, the second one with two codes of its own; one of them goes later. */
async function bePutOff(world: World) {
  const { stores, sendgrid, smtp } = world;
  const [bob, jo] = [stranger(world, 'bob'), stranger(world, 'jo')];
  const putOff = async ({ to, asked }: typeof bob, code: number) => {
    sendgrid.script({ match: to.email, next: { status: 503, body: { errors: [{ message: `${to.email} ${asked.data.therapist}` }] } } });
    smtp.otherwise = { at: 'rcpt', code, text: `4.2.1 <${to.email}> is away` };
    const id = await world.queue(asked);
    await hasFailedOnce(world, id, 'email');
    world.controls.push([/^board, job$/, id]);
    return id;
  };
  await putOff(jo, 450);
  const tried = await putOff(bob, 421);
  await world.look('waiting for the next try');
  sendgrid.script({ match: bob.to.email, next: 'accept' });
  // SendGrid may count as down by now.
  smtp.otherwise = 'accept';
  await settled(stores, tried, 'email', 'sent', 60_000);
}

/** A browser whose push service cannot be found: errors of the network name its host. */
async function missABrowser(world: World) {
  const known = (name: string) => world.canaries.text(name, 'person');
  const browser = createECDH('prime256v1');
  const auth = `${known('auth of a browser')}AAAA`;
  const keys = { p256dh: browser.generateKeys().toString('base64url'), auth };
  const web = { endpoint: `https://${known('host of an endpoint')}.example/${known('path of an endpoint')}`, keys };
  expect((await world.ask('answers', 'POST', '/v1/users/ivy/devices', { web })).status).toBe(200);
  const id = await world.queue(request(world, 'ivy'));
  await hasFailedOnce(world, id, 'push');
  await world.look('browser not found');
}

/** Reports that quote addresses and texts, genuine and forged ones. */
export async function hearFromProviders(world: World) {
  const { sendgrid, twilio, canaries, evidence } = world;
  const said = (name: string) => canaries.text(`${name} of a report`, 'person');
  const [mail] = sendgrid.accepted;
  const [message] = twilio.accepted;
  if (!mail || !message) throw new Error('nothing was sent');
  const url = `${world.http}/v1/providers/sendgrid/events`;
  const events = [
    sendgrid.events.of(mail, 'deferred', { response: `450 <${mail.to}> ${said('response')}` }),
    sendgrid.events.of(mail, 'click', { url: `https://clinic.example/${said('url')}`, useragent: said('useragent') }),
    sendgrid.events.of(mail, 'bounce', { reason: `550 <${mail.to}> ${said('reason')}`, status: said('status') }),
    sendgrid.events.of(mail, 'delivered', { event: said('event'), [said('field')]: 1, sg_event_id: said('sg_event_id') }),
  ];
  const genuine = await sendgrid.events.deliver(url, events);
  expect(genuine.status).toBe(204);
  evidence.add('answers', genuine.body);
  for (const forged of [events, `[{"email":"${said('broken body')}"`]) {
    const { status, body } = await sendgrid.events.deliver(url, forged, { tamper: (bytes) => Buffer.concat([bytes, Buffer.from(' ')]) });
    expect(status).toBe(401);
    evidence.add('answers', body);
  }
  const from = `${publicUrl}/v1/providers/twilio/events`;
  for (const callback of [
    twilio.callback(from, { MessageSid: message.sid, MessageStatus: 'undelivered', To: message.to, ErrorMessage: said('ErrorMessage') }),
    twilio.reply(from, message.to, said('Body'), 'STOP'),
    twilio.reply(from, message.to, said('forged Body')),
  ]) {
    const response = await fetch(from.replace(publicUrl, world.http), callback);
    evidence.add('answers', await response.text());
    expect(response.status).toBeLessThan(300);
  }
  const [, link = ''] = /^<([^>]+)>/.exec(mail.headers['List-Unsubscribe'] ?? '') ?? [];
  const clicked = await fetch(link.replace(publicUrl, world.http), {
    method: 'POST',
    body: 'List-Unsubscribe=One-Click',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  expect(clicked.status).toBe(200);
  expect((await world.ask('answers', 'GET', '/v1/users/ann/suppressions/email')).status).toBe(200);
}

/** The process dies while it calls a provider; meanwhile more is queued, and a new process takes over. */
export async function dieInTheMiddle(world: World) {
  const { stores, sendgrid, smtp } = world;
  const fay = stranger(world, 'fay');
  sendgrid.script({ match: fay.to.email, next: 'hang' });
  smtp.otherwise = { at: 'data', hang: true };
  const open = await world.queue(fay.asked);
  await settled(stores, open, 'email', 'sending');
  await world.look('under way');
  await world.die();
  smtp.otherwise = 'accept';
  const api = await world.startApiAlone();
  const waiting = await world.queue(stranger(world, 'gil').asked);
  await world.look('waiting for a worker');
  world.controls.push([/^board, job$/, waiting]);
  await end(api);
  await world.start();
  await settled(stores, waiting, 'email', 'sent', 60_000);
  await settled(stores, open, 'email', 'unknown', 60_000);
  await world.look('after the crash');
}

/** Where nothing is sent, what would have been can be looked at. */
export async function preview(world: World) {
  const { stores } = world;
  await world.die('SIGTERM');
  await world.start({ NOTIFICATION_DELIVERY: 'sandbox' });
  const hal = stranger(world, 'hal');
  const id = await world.queue(hal.asked);
  for (const channel of ['email', 'sms']) await settled(stores, id, channel, 'sent');
  const { text } = await world.ask('previews', 'GET', '/preview/mail', undefined, { accept: 'application/json' });
  await world.ask('previews', 'GET', '/preview/mail', undefined, { accept: 'text/html' });
  const kept = JSON.parse(text).data as { id: string; channel: string }[];
  expect(kept.length).toBeGreaterThan(1);
  for (const one of kept) {
    await world.ask('previews', 'GET', `/preview/mail/${encodeURIComponent(one.id)}`, undefined, { accept: 'text/html' });
    if (one.channel === 'email') await world.ask('previews', 'GET', `/preview/mail/${encodeURIComponent(one.id)}/html`);
  }
  world.controls.push([/^previews$/, hal.asked.data.therapist], [/^previews$/, hal.to.phone]);
  await world.look('previewed');
  await world.die('SIGTERM');
  await world.lookAtLeftovers();
}
