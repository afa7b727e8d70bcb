import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  partialPageSchema,
  previewSchema,
  registeredPartialSchema,
  registeredSchema,
  templateEntrySchema,
  templatePageSchema,
} from '../src/schemas.js';
import { APPOINTMENT, AUTHORIZED, type RunningApi, startApi } from './running-api.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
});
afterAll(() => running.close());

const call = (method: 'GET' | 'PUT' | 'POST' | 'DELETE', url: string, payload?: object) =>
  running.api.inject({ method, url, headers: AUTHORIZED, ...(payload && { payload }) });

test('a template is registered, read, registered again without a change, and taken out of use', async () => {
  const { id, ...content } = APPOINTMENT;
  const registered = await call('PUT', `/v1/templates/${id}`, content);
  expect(registered.statusCode).toBe(200);
  expect(registeredSchema.strict().parse(registered.json())).toMatchObject({ id, changed: true });

  const again = await call('PUT', `/v1/templates/${id}`, APPOINTMENT);
  expect(again.json()).toEqual({ id, version: registered.json().version, changed: false });

  const read = await call('GET', `/v1/templates/${id}`);
  expect(templateEntrySchema.strict().parse(read.json())).toMatchObject({ ...APPOINTMENT, version: registered.json().version });

  const removed = await call('DELETE', `/v1/templates/${id}`);
  expect(removed.statusCode).toBe(204);
  expect(removed.body).toBe('');
  for (const method of ['GET', 'DELETE'] as const) {
    const gone = await call(method, `/v1/templates/${id}`);
    expect(gone.statusCode).toBe(404);
    expect(gone.json()).toMatchObject({ code: 'TEMPLATE_NOT_FOUND' });
  }
});

test('what cannot be registered is refused with its field', async () => {
  const wrong = [
    ['/v1/templates/a', { ...APPOINTMENT, id: 'b' }, 'id'],
    ['/v1/templates/a', { ...APPOINTMENT, id: 'a', body: '{{#open}}' }, 'body'],
    ['/v1/templates/a%20b', { ...APPOINTMENT, id: undefined }, 'id'],
    ['/v1/templates/a', { title: 'x', body: 'x' }, 'channels'],
  ] as const;
  for (const [url, payload, field] of wrong) {
    const answer = await call('PUT', url, payload);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ field, code: expect.stringMatching(/^(FIELD|TEMPLATE)_INVALID$/) });
  }
});

test('templates are listed page by page, and the last page has no cursor', async () => {
  const ids = ['t1', 't2', 't3', 't4', 't5'];
  for (const id of ids) await call('PUT', `/v1/templates/${id}`, { ...APPOINTMENT, id });
  const seen: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const answer = await call('GET', `/v1/templates?limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    expect(answer.statusCode).toBe(200);
    const page = templatePageSchema.strict().parse(answer.json());
    seen.push(...page.data.map((template) => template.id));
    cursor = page.nextCursor;
  }
  expect(seen).toEqual(ids);
});

test.each(['limit=0', 'limit=101', 'limit=x', 'limit=1.5', 'limit='])('%s is refused', async (query) => {
  const answer = await call('GET', `/v1/templates?${query}`);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: 'FIELD_INVALID', field: 'limit' });
});

const MAIL = {
  id: 'mail',
  title: 'Your appointment',
  body: 'On {{at.date}}, {{at.time}}',
  channels: ['email', 'push'],
  fields: { at: { type: 'datetime' }, link: { type: 'url', optional: true } },
  email: { html: '<p>{{at}}</p>{{> footer}}', layout: 'frame', from: 'clinic@example.org' },
  push: { url: '{{link}}' },
  locales: { de: { title: 'Ihr Termin', body: 'Am {{at.date}} um {{at.time}}', email: { html: '<p>Am {{at}}</p>{{> footer}}' } } },
};

test('a partial is registered, used, shown as it is, changed, and taken out of use', async () => {
  expect((await call('PUT', '/v1/partials/footer', { html: '<hr>one' })).json()).toEqual({ id: 'footer', changed: true, templates: [] });
  await call('PUT', '/v1/partials/frame', { html: '<body>{{> content}}</body>' });
  const { version } = (await call('PUT', '/v1/templates/mail', MAIL)).json();

  const changed = await call('PUT', '/v1/partials/footer', { id: 'footer', html: '<hr>two' });
  expect(changed.statusCode).toBe(200);
  expect(registeredPartialSchema.strict().parse(changed.json())).toEqual({ id: 'footer', changed: true, templates: ['mail'] });
  const shown = (await call('GET', '/v1/templates/mail')).json();
  expect(templateEntrySchema.strict().parse(shown)).toEqual({ ...MAIL, version: expect.not.stringMatching(version) });

  expect((await call('GET', '/v1/partials/footer')).json()).toEqual({ id: 'footer', html: '<hr>two' });
  const page = await call('GET', '/v1/partials?limit=1');
  expect(partialPageSchema.strict().parse(page.json())).toEqual({ data: [{ id: 'footer', html: '<hr>two' }], nextCursor: 'footer' });
  expect((await call('GET', '/v1/partials?cursor=footer')).json()).toMatchObject({ data: [{ id: 'frame' }], nextCursor: null });

  expect((await call('DELETE', '/v1/partials/footer')).statusCode).toBe(204);
  for (const method of ['GET', 'DELETE'] as const) {
    const gone = await call(method, '/v1/partials/footer');
    expect(gone.statusCode).toBe(404);
    expect(gone.json()).toMatchObject({ code: 'PARTIAL_NOT_FOUND' });
  }
});

test('a preview shows each channel in the language and zone asked for, and stores nothing', async () => {
  await call('PUT', '/v1/partials/footer', { html: '<hr>' });
  await call('PUT', '/v1/partials/frame', { html: '<body>{{> content}}</body>' });
  await call('PUT', '/v1/templates/mail', MAIL);
  const before = (await running.redis.command<string[]>('KEYS', '*')).sort();
  const preview = await call('POST', '/v1/templates/mail/preview', {
    data: { at: '2026-12-24T18:00:00Z' },
    locale: 'de-AT',
    timeZone: 'Asia/Kathmandu',
  });
  expect(preview.statusCode).toBe(200);
  expect(previewSchema.parse(preview.json())).toEqual({
    email: {
      subject: 'Ihr Termin',
      text: 'Am 24. Dezember 2026 um 23:45',
      html: '<body><p>Am 24. Dezember 2026 um 23:45</p><hr></body>',
    },
    push: { title: 'Ihr Termin', body: 'Am 24. Dezember 2026 um 23:45' },
  });
  expect((await running.redis.command<string[]>('KEYS', '*')).sort()).toEqual(before);
});

test.each<[object, string, string]>([
  [{ data: {} }, 'TEMPLATE_DATA_MISSING', 'data.at'],
  [{ data: { at: 'tomorrow' } }, 'TEMPLATE_DATA_INVALID', 'data.at'],
  [{ data: { at: 1, link: 'javascript:alert(1)' } }, 'TEMPLATE_DATA_INVALID', 'data.link'],
  [{}, 'FIELD_INVALID', 'data'],
  [{ data: { at: 1 }, locale: 'not a locale' }, 'FIELD_INVALID', 'locale'],
  [{ data: { at: 1 }, timeZone: 'Middle/Earth' }, 'FIELD_INVALID', 'timeZone'],
])('a preview of %j is refused', async (payload, code, field) => {
  await call('PUT', '/v1/templates/mail', MAIL);
  const answer = await call('POST', '/v1/templates/mail/preview', payload);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code, field });
});

test('a preview of an unknown template, a bad partial and a bad layout are refused', async () => {
  expect((await call('POST', '/v1/templates/nobody/preview', { data: {} })).json()).toMatchObject({ code: 'TEMPLATE_NOT_FOUND' });
  expect((await call('PUT', '/v1/partials/x', { html: '{{> x}}' })).json()).toMatchObject({ code: 'TEMPLATE_INVALID', field: 'html' });
  expect((await call('PUT', '/v1/partials/content', { html: 'x' })).json()).toMatchObject({ code: 'FIELD_INVALID', field: 'id' });
  const template = { ...MAIL, email: { ...MAIL.email, layout: 'nowhere' } };
  expect((await call('PUT', '/v1/templates/mail', template)).json()).toMatchObject({ code: 'TEMPLATE_INVALID', field: 'email.layout' });
});
