import { channelDefinition } from '@carillon/contracts';
import { createRedis, type Redis } from '@carillon/redis';
import { createTemplates, type Templates } from '@carillon/templates';
import { redisPlaces, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const definition = (id: string, body: string) => ({ id, title: 'Title', body, channels: ['in_app'] });

describe.each(Object.entries(redisPlaces))('on %s', (_name, start) => {
  let place: Awaited<ReturnType<typeof start>>;
  let redis: Redis;
  let here: Templates;
  let elsewhere: Templates;

  beforeAll(async () => {
    place = await start();
    redis = await createRedis({ url: place.url }, { prefix: 'templates-test:', temper: 'prompt' });
    here = await createTemplates(redis);
    elsewhere = await createTemplates(redis);
  });
  afterAll(async () => {
    await here?.close();
    await elsewhere?.close();
    await redis?.close();
    await place?.stop();
  });

  test('the same content is the same version and writes nothing', async () => {
    const first = await here.register(definition('same', 'b'));
    expect(first.changed).toBe(true);
    expect(await elsewhere.register(definition('same', 'b'))).toEqual({ ...first, changed: false });
  });

  test('another process uses a new version soon after it is registered', async () => {
    await here.register(definition('moving', 'one'));
    expect((await elsewhere.current('moving')).definition.body).toBe('one');
    await here.register(definition('moving', 'two'));
    await waitFor(async () => (await elsewhere.current('moving')).definition.body === 'two', { what: 'the new version' });
  });

  test('an older version still renders, also after newer ones and after removal', async () => {
    const { version } = await here.register(definition('kept', 'old'));
    await here.register(definition('kept', 'new'));
    await here.remove('kept');
    expect((await elsewhere.version('kept', version)).definition.body).toBe('old');
    await waitFor(
      () =>
        elsewhere.current('kept').then(
          () => false,
          (error) => error.code === 'TEMPLATE_NOT_FOUND',
        ),
      { what: 'the removal' },
    );
    await expect(here.remove('kept')).rejects.toMatchObject({ code: 'TEMPLATE_NOT_FOUND' });
  });

  test('a field that is explicitly undefined is not there', async () => {
    const { version } = await here.register({ ...definition('undefined', 'b'), priority: undefined });
    expect((await elsewhere.version('undefined', version)).version).toBe(version);
    expect(await here.register(definition('undefined', 'b'))).toEqual({ id: 'undefined', version, changed: false });
  });

  test('going back to earlier content makes its version current again', async () => {
    const { version } = await here.register(definition('back', 'one'));
    await here.register(definition('back', 'two'));
    expect(await here.register(definition('back', 'one'))).toEqual({ id: 'back', version, changed: true });
    expect((await here.get('back')).version).toBe(version);
  });

  test('lists in order of id, page by page, without what was removed', async () => {
    for (const id of ['list-c', 'list-a', 'list-b']) await here.register(definition(id, 'b'));
    await here.register(definition('list-0', 'b'));
    await here.remove('list-0');
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await here.list(cursor === undefined ? { limit: 2 } : { limit: 2, cursor });
      ids.push(...page.data.map(({ template }) => template.id));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(ids.filter((id) => id.startsWith('list-'))).toEqual(['list-a', 'list-b', 'list-c']);
    expect(ids).toEqual([...ids].sort());
  });

  test('a field that must not leave by a channel is refused, and nothing is stored', async () => {
    const fields = { diagnosis: { type: 'text', class: 'phi' } };
    const leaking = { ...definition('leaking', '{{diagnosis}}'), channels: ['in_app', 'push'], fields };
    const refusal = { code: 'TEMPLATE_INVALID', field: 'fields.diagnosis' };
    await expect(here.register(leaking)).rejects.toMatchObject(refusal);
    await expect(here.current('leaking')).rejects.toMatchObject({ code: 'TEMPLATE_NOT_FOUND' });
    await expect(here.preview(leaking, { data: { diagnosis: 'd' } })).rejects.toMatchObject(refusal);
    await expect(here.register({ ...leaking, push: { body: 'Open the app.' } })).resolves.toMatchObject({ changed: true });
  });

  test('what was registered under the standard policy does not leak under the strict one, and still reaches the inbox', async () => {
    const strict = await createTemplates(redis, { phiPolicy: 'strict' });
    try {
      const loose = { ...definition('loose', '{{note}}'), channels: ['in_app', 'email'] };
      const { version } = await here.register(loose);
      const refusal = { code: 'TEMPLATE_INVALID', field: 'fields.note' };
      await expect(strict.register(loose)).rejects.toMatchObject(refusal);
      await expect(strict.preview('loose', { data: { note: 'n' } })).rejects.toMatchObject(refusal);
      const { render, check } = await strict.version('loose', version);
      check({ note: 'n' });
      expect(render(channelDefinition('in_app'), { note: 'n' }).content.body).toBe('n');
      expect(() => render(channelDefinition('email'), { note: 'n' })).toThrow(expect.objectContaining({ code: 'RENDER_FAILED' }));
      const told = await strict.register({ ...loose, fields: { note: { type: 'text', class: 'public' } } });
      expect((await strict.current('loose')).version).toBe(told.version);
    } finally {
      await strict.close();
    }
  });

  test('what is wrong with a definition is named', async () => {
    await expect(here.register({ ...definition('x', 'b'), colour: 'red' })).rejects.toMatchObject({
      code: 'FIELD_INVALID',
      field: 'colour',
    });
    await expect(here.register({ ...definition('x', 'b'), channels: [] })).rejects.toMatchObject({
      code: 'FIELD_INVALID',
      field: 'channels',
    });
    await expect(here.register(definition('x', '{{{raw}}}'))).rejects.toMatchObject({ code: 'TEMPLATE_INVALID', field: 'body' });
    await expect(here.current('x')).rejects.toMatchObject({ code: 'TEMPLATE_NOT_FOUND' });
  });
});
