import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { registeredSchema, templateEntrySchema, templatePageSchema } from '../src/schemas.js';
import { APPOINTMENT, AUTHORIZED, type RunningApi, startApi } from './running-api.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
});
afterAll(() => running.close());

const call = (method: 'GET' | 'PUT' | 'DELETE', url: string, payload?: object) =>
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
