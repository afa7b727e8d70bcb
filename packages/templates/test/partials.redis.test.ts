import { channelDefinition } from '@carillon/contracts';
import { createRedis, type Redis } from '@carillon/redis';
import { type CompiledTemplate, createTemplates, type Templates } from '@carillon/templates';
import { redisPlaces, waitFor } from '@carillon/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

const email = channelDefinition('email');
const html = ({ render }: CompiledTemplate, locale?: string) => render(email, { name: '<Ann>' }, { locale }).content.html;
const mail = (id: string, part: object, rest: object = {}) => ({
  id,
  title: 'Title',
  body: 'Body',
  channels: ['email'],
  email: part,
  ...rest,
});

describe.each(Object.entries(redisPlaces))('on %s', (_name, start) => {
  let place: Awaited<ReturnType<typeof start>>;
  let redis: Redis;
  let here: Templates;
  let elsewhere: Templates;
  let overtakenOne: Templates | undefined;

  beforeAll(async () => {
    place = await start();
    redis = await createRedis({ url: place.url }, { prefix: 'partials-test:', temper: 'prompt' });
    here = await createTemplates(redis);
    elsewhere = await createTemplates(redis);
  });
  afterAll(async () => {
    await here?.close();
    await elsewhere?.close();
    await redis?.close();
    await place?.stop();
  });
  afterEach(async () => {
    await overtakenOne?.close();
    overtakenOne = undefined;
  });
  beforeEach(async () => {
    for (const { template } of (await here.list({ limit: 100 })).data) await here.remove(template.id);
    for (const { id } of (await here.listPartials({ limit: 100 })).data) await here.removePartial(id);
    await here.registerPartial({ id: 'address', html: '<i>Street 1</i>' });
    await here.registerPartial({ id: 'footer', html: '<hr>{{> address}} {{name}}' });
    await here.registerPartial({ id: 'frame', html: '<body>{{> content}}{{> footer}}</body>' });
  });

  test('HTML that is too long to be rendered with its partials is not registered, and what is registered is rendered', async () => {
    const block = 'x'.repeat(60_000);
    await here.registerPartial({ id: 'block', html: block });
    const twice = '{{> block}}{{> block}}{{name}}';
    await here.register(mail('long', { html: twice }));
    const { check, render } = await here.current('long');
    check({ name: 'Ann' });
    expect(render(email, { name: 'Ann' }).content.html).toBe(`${block}${block}Ann`);
    await expect(here.register(mail('longer', { html: `${twice}{{> block}}` }))).rejects.toMatchObject({
      code: 'TEMPLATE_INVALID',
      field: 'email.html',
    });
  });

  test('a template stands in its layout with its partials, in every language, and is shown as it was registered', async () => {
    const definition = mail(
      'framed',
      { html: '<p>{{name}}</p>{{> address}}', layout: 'frame' },
      { locales: { de: { email: { html: '<p>Deutsch</p>' } } } },
    );
    await here.register(definition);
    const footer = '<hr><i>Street 1</i> &lt;Ann&gt;';
    expect(html(await elsewhere.current('framed'))).toBe(`<body><p>&lt;Ann&gt;</p><i>Street 1</i>${footer}</body>`);
    expect(html(await elsewhere.current('framed'), 'de')).toBe(`<body><p>Deutsch</p>${footer}</body>`);
    expect((await elsewhere.get('framed')).template).toEqual(definition);
    await expect((async () => (await here.current('framed')).check({}))()).rejects.toMatchObject({
      code: 'TEMPLATE_DATA_MISSING',
      field: 'data.name',
    });
  });

  test('a changed partial makes new versions of the templates that use it, and leaves what is queued alone', async () => {
    const { version } = await here.register(mail('uses', { html: '{{> footer}}' }));
    const other = await here.register(mail('other', { html: '<p>x</p>' }));
    expect(await elsewhere.registerPartial({ id: 'address', html: '<i>Street 2</i>' })).toEqual({
      id: 'address',
      changed: true,
      templates: ['uses'],
    });
    await waitFor(async () => html(await here.current('uses')) === '<hr><i>Street 2</i> &lt;Ann&gt;', { what: 'the new address' });
    expect(html(await here.version('uses', version))).toBe('<hr><i>Street 1</i> &lt;Ann&gt;');
    expect((await here.get('other')).version).toBe(other.version);

    expect(await here.registerPartial({ id: 'address', html: '<i>Street 2</i>' })).toEqual({
      id: 'address',
      changed: false,
      templates: [],
    });
    await here.registerPartial({ id: 'address', html: '<i>Street 1</i>' });
    expect((await here.get('uses')).version).toBe(version);
  });

  test('a partial that would bring a field where its class must not go is refused', async () => {
    const fields = { name: { type: 'text', class: 'pii' }, diagnosis: { type: 'text', class: 'phi' } };
    await here.register(mail('classed', { html: '{{> footer}}' }, { fields }));
    await expect(here.registerPartial({ id: 'address', html: '{{#diagnosis}}x{{/diagnosis}}' })).rejects.toMatchObject({
      code: 'TEMPLATE_INVALID',
      field: 'html',
      message: expect.stringContaining('fields.diagnosis: is phi and must not leave by email'),
    });
    expect(await here.partial('address')).toEqual({ id: 'address', html: '<i>Street 1</i>' });
    await here.registerPartial({ id: 'address', html: '{{name}}' });
    await here.registerPartial({ id: 'address', html: '<i>Street 1</i>' });
  });

  test('a template that takes to a partial in which nothing else changes still hears of it', async () => {
    await here.register(mail('literal', { html: '<i>Street 1</i>' }));
    await here.register(mail('literal', { html: '{{> address}}' }));
    await here.registerPartial({ id: 'footer', html: '<i>Street 1</i>' });
    await here.register(mail('literal', { html: '{{> footer}}' }));
    expect((await here.registerPartial({ id: 'footer', html: 'x' })).templates).toEqual(['literal']);
  });

  /** Templates over a Redis at which something else happens right before the first version is written. */
  const overtakenBy = async (happens: () => Promise<unknown>) => {
    let pending: (() => Promise<unknown>) | undefined = happens;
    const templates = await createTemplates({
      ...redis,
      run: async <T>(...call: Parameters<Redis['run']>) => {
        const first = pending;
        pending = undefined;
        await first?.();
        return redis.run<T>(...call);
      },
    });
    overtakenOne = templates;
    return templates;
  };
  const currentHtml = async (id: string) =>
    html(await here.version(id, await redis.command<string>('HGET', redis.keys.template(id), 'current')));

  test('a template registered while its partial changes ends with the new one', async () => {
    const overtaken = await overtakenBy(() => elsewhere.registerPartial({ id: 'address', html: '<i>Street 2</i>' }));
    const { version, changed } = await overtaken.register(mail('racing', { html: '{{> address}}' }));
    expect(await currentHtml('racing')).toBe('<i>Street 2</i>');
    expect((await here.get('racing')).version).toBe(version);
    expect(changed).toBe(true);
  });

  test('a new definition is not overwritten by the renewal of the one before', async () => {
    await here.register(mail('racing', { html: 'old {{> address}}' }));
    const overtaken = await overtakenBy(() => elsewhere.register(mail('racing', { html: 'new {{> address}}' })));
    await overtaken.registerPartial({ id: 'address', html: '<i>Street 2</i>' });
    expect(await currentHtml('racing')).toBe('new <i>Street 2</i>');
  });

  test('a template that was taken out of use is not brought back by a partial', async () => {
    await here.register(mail('racing', { html: '{{> address}}' }));
    const overtaken = await overtakenBy(() => elsewhere.remove('racing'));
    await overtaken.registerPartial({ id: 'address', html: '<i>Street 2</i>' });
    await waitFor(
      () =>
        here.current('racing').then(
          () => false,
          (error) => error.code === 'TEMPLATE_NOT_FOUND',
        ),
      { what: 'the removal' },
    );
  });

  test.each<[string, object, string]>([
    ['a partial that is not registered', { html: '{{> nowhere}}' }, 'email.html'],
    ['a partial in a text', { text: '{{> footer}}' }, 'email.text'],
    ['a partial in a subject', { subject: '{{> footer}}' }, 'email.subject'],
    ['the place of a layout', { html: '{{> content}}' }, 'email.html'],
    ['a layout as a partial', { html: '{{> frame}}' }, 'email.html'],
    ['a layout that is not registered', { html: 'x', layout: 'nowhere' }, 'email.layout'],
    ['a layout without a place', { html: 'x', layout: 'footer' }, 'email.layout'],
    ['a value of a partial where HTML is not safe', { html: '<script>{{> footer}}</script>' }, 'email.html'],
  ])('%s is refused', async (_what, part, field) => {
    await expect(here.register(mail('bad', part))).rejects.toMatchObject({ code: 'TEMPLATE_INVALID', field });
    await expect(here.current('bad')).rejects.toMatchObject({ code: 'TEMPLATE_NOT_FOUND' });
  });

  test('a tag of a partial that is no declared field is refused', async () => {
    const fields = { title: { type: 'text' } };
    const refused = { code: 'TEMPLATE_INVALID', field: 'email.html' };
    await expect(here.register(mail('typed', { html: '{{> footer}}' }, { fields }))).rejects.toMatchObject(refused);
    await here.register(mail('typed', { html: '{{> address}}' }, { fields }));
    await expect(here.registerPartial({ id: 'address', html: '{{street}}' })).rejects.toMatchObject({
      code: 'TEMPLATE_INVALID',
      field: 'html',
    });
    expect((await here.partial('address')).html).toBe('<i>Street 1</i>');
  });

  test('circles, bombs and depths are refused', async () => {
    const refused = { code: 'TEMPLATE_INVALID', field: 'html' };
    await expect(here.registerPartial({ id: 'address', html: '{{> footer}}' })).rejects.toMatchObject(refused);
    await expect(here.registerPartial({ id: 'self', html: 'a {{> self}}' })).rejects.toMatchObject(refused);
    await here.registerPartial({ id: 'bomb-0', html: 'x'.repeat(1000) });
    for (let i = 1; i < 3; i++) await here.registerPartial({ id: `bomb-${i}`, html: `{{> bomb-${i - 1}}}`.repeat(10) });
    await expect(here.registerPartial({ id: 'bomb-3', html: '{{> bomb-2}}'.repeat(10) })).rejects.toMatchObject(refused);
    await here.registerPartial({ id: 'deep-0', html: 'x' });
    for (let i = 1; i < 10; i++) await here.registerPartial({ id: `deep-${i}`, html: `{{> deep-${i - 1}}}` });
    await expect(here.registerPartial({ id: 'deep-10', html: '{{> deep-9}}' })).rejects.toMatchObject(refused);
    await expect(here.registerPartial({ id: 'open', html: '{{#a}}' })).rejects.toMatchObject(refused);
  });

  test('removing a partial takes nothing from the templates that have it, until they are registered anew', async () => {
    const definition = mail('keeps', { html: '{{> address}}' });
    await here.register(definition);
    await here.removePartial('address');
    expect(html(await elsewhere.current('keeps'))).toBe('<i>Street 1</i>');
    await expect(here.register(definition)).rejects.toMatchObject({ code: 'TEMPLATE_INVALID', field: 'email.html' });
    await expect(here.removePartial('address')).rejects.toMatchObject({ code: 'PARTIAL_NOT_FOUND' });
    await expect(here.partial('address')).rejects.toMatchObject({ code: 'PARTIAL_NOT_FOUND' });
  });

  test('a definition is previewed without being registered', async () => {
    const definition = mail('draft', { html: '{{> address}}<p>{{name}}</p>' });
    expect(await here.preview(definition, { data: { name: 'Ann' } })).toEqual({
      email: { subject: 'Title', text: 'Body', html: '<i>Street 1</i><p>Ann</p>' },
    });
    await expect(here.current('draft')).rejects.toMatchObject({ code: 'TEMPLATE_NOT_FOUND' });
    await expect(here.preview('draft', { data: {} })).rejects.toMatchObject({ code: 'TEMPLATE_NOT_FOUND' });
    await expect(here.preview(definition, { data: {} })).rejects.toMatchObject({ code: 'TEMPLATE_DATA_MISSING', field: 'data.name' });
  });

  test('a version stored by an earlier release is read and is the same', async () => {
    const definition = { id: 'old', title: 'Hello {{name}}', body: 'b', channels: ['in_app'] };
    const { version } = await here.register(definition);
    const stored = await redis.command<string>('HGET', redis.keys.template('old'), `version:${version}`);
    expect(JSON.parse(stored)).toEqual(definition);
  });
});
