import {
  CarillonError,
  channelDefinition,
  channelNames,
  type DataClass,
  dataClasses,
  type Json,
  mayCarry,
  type Template,
  type TemplateField,
  templateSchema,
} from '@carillon/contracts';
import { describe, expect, test } from '@jest/globals';
import { type Compiled, compile } from './compile.js';
import type { PhiPolicy } from './firewall.js';
import { pin } from './pin.js';

const RUNS = 400;
const LANGUAGES = ['de', 'de-AT', 'fr'];
const READERS = [undefined, 'en', 'de-CH', ...LANGUAGES];
const TYPES: TemplateField['type'][] = ['text', 'datetime', 'number', 'url'];
const URL_CANARY = { mark: /kanariurl/, name: undefined };

/** Mulberry32: the same numbers for the same seed. */
function randomFrom(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const pick = <T>(list: readonly T[]) => list[Math.floor(next() * list.length)] as T;
  return { pick, chance: (p: number) => next() < p };
}
type Random = ReturnType<typeof randomFrom>;

/** A value nothing else looks like, and what shows that it, or that it is there, is told. */
function canaryOf(name: string, type: TemplateField['type'], i: number): { name: string; value: Json; mark: RegExp } {
  const of = (value: Json, shows: string) => ({ name, value, mark: new RegExp(`${shows}|there${i}is`) });
  if (type === 'datetime') return of(`220${i}-12-24T09:3${i}:00Z`, `220${i}|:3${i}`);
  if (type === 'number') return of(7_000_000 + i, `7\\D?000\\D?00${i}`);
  return of(type === 'url' ? `https://kanari${i}x.example/` : `kanari${i}x`, `kanari${i}x`);
}

/** Words that may show fields, or say something only where one is there. */
function wordsOf({ pick, chance }: Random, tags: readonly { tag: string; i: number }[]): string {
  const pieces = ['Hello'];
  while (chance(0.4)) {
    const { tag, i } = pick(tags);
    pieces.push(chance(0.6) ? `{{${tag}}}` : chance(0.5) ? `{{#${tag}}}there${i}is{{/${tag}}}` : `{{^${tag}}}no{{/${tag}}} {{! note }}`);
  }
  return pieces.join(' ');
}

/** A template at random, the partials it may use, and what its data holds. */
function makeCase(random: Random) {
  const { pick, chance } = random;
  const declared = chance(0.8);
  const fields: Record<string, TemplateField> = {};
  const canaries = Array.from({ length: 6 }, (_, i) => {
    const type = declared ? pick(TYPES) : 'text';
    const known = pick([undefined, ...dataClasses]);
    fields[`f${i}`] = { type, ...(known && { class: known }) };
    return canaryOf(`f${i}`, type, i);
  });
  const tags = canaries.flatMap(({ name }, i) => {
    const faces = declared && fields[name]?.type === 'datetime' ? ['', '.date', '.time'] : [''];
    return faces.map((face) => ({ tag: `${name}${face}`, i }));
  });
  const words = () => wordsOf(random, tags);
  const html = () => `<p title="${words()}">${words()}</p>${chance(0.3) ? '{{> footer}}' : ''}`;
  const maybe = <T>(name: string, make: () => T) => (chance(0.5) ? { [name]: make() } : {});
  const parts = () => ({
    ...maybe('email', () => ({ ...maybe('subject', words), ...maybe('text', words), ...maybe('html', html) })),
    ...maybe('push', () => ({ ...maybe('title', words), ...maybe('body', words), ...maybe('url', () => `/visits/${words()}`) })),
    ...maybe('sms', () => maybe('text', words)),
  });
  const own = parts() as { email?: object };
  const template = {
    id: 't',
    title: words(),
    body: words(),
    channels: channelNames.filter(() => chance(0.6)),
    ...own,
    ...(own.email && chance(0.3) && { email: { ...own.email, layout: 'frame' } }),
    ...(declared && { fields }),
    locales: Object.fromEntries(
      LANGUAGES.filter(() => chance(0.6)).map((tag) => [tag, { ...maybe('title', words), ...maybe('body', words), ...parts() }]),
    ),
  };
  if (template.channels.length === 0) template.channels.push('in_app');
  const partials: Record<string, string> = { footer: `<i>${words()}</i>`, frame: `<div>${words()}{{> content}}</div>` };
  return { template: templateSchema.parse(template) as Template, partials, canaries };
}
type Case = ReturnType<typeof makeCase>;

/** What each channel says in each language; undefined where it is held back. */
function sayAll({ render }: Compiled, { canaries }: Case) {
  const data = Object.fromEntries(canaries.map(({ name, value }) => [name, value]));
  return channelNames.flatMap((channel) =>
    READERS.map((locale) => {
      try {
        const { content } = render(channelDefinition(channel), data, { locale, url: '/kanariurl' });
        return { channel, said: Object.values(content).join('\n') };
      } catch (error) {
        if (error instanceof CarillonError && error.code === 'RENDER_FAILED') return { channel, said: undefined };
        throw error;
      }
    }),
  );
}

/** The classes of the canaries in what was said that the channel may carry, and of those that it may not. */
function find({ template, canaries }: Case, policy: PhiPolicy, said: ReturnType<typeof sayAll>) {
  const unclassed: DataClass = policy === 'strict' ? 'phi' : 'public';
  const found = said.flatMap(({ channel, said }) =>
    [...canaries, URL_CANARY].flatMap(({ name, mark }) => {
      if (said === undefined || !mark.test(said)) return [];
      return [{ channel, dataClass: (name && template.fields?.[name]?.class) || unclassed }];
    }),
  );
  const allowed = found.filter(({ channel, dataClass }) => mayCarry(channelDefinition(channel), dataClass));
  return { carried: allowed, leaked: found.filter((one) => !allowed.includes(one)) };
}

function isRefused({ refuseLeaks }: Compiled): boolean {
  try {
    refuseLeaks();
    return false;
  } catch (error) {
    if (error instanceof CarillonError && error.code === 'TEMPLATE_INVALID') return true;
    throw error;
  }
}

/** The same template, with nothing said of how sensitive its fields are. */
function unguarded(template: Template): Template {
  if (!template.fields) return template;
  const fields = Object.entries(template.fields).map(([name, { class: _class, ...field }]) => [name, field]);
  return { ...template, fields: Object.fromEntries(fields) };
}

describe.each<[PhiPolicy]>([['standard'], ['strict']])('of random templates, under the %s policy', (policy) => {
  const random = randomFrom(policy === 'strict' ? 4 : 40);
  const cases = Array.from({ length: RUNS }, () => makeCase(random));

  test('no channel says what it may not carry, in any language, and what would is not registered', async () => {
    const seen = { refused: 0, registered: 0, carried: new Set<string>(), wouldLeak: 0 };
    for (const one of cases) {
      const pinned = await pin(one.template, async (id) => one.partials[id]);
      const compiled = compile(one.template, pinned, policy);
      const said = sayAll(compiled, one);
      const { carried, leaked } = find(one, policy, said);
      expect(leaked).toEqual([]);
      const heldBack = said.some(({ channel, said }) => said === undefined && one.template.channels.includes(channel));
      expect({ template: one.template, refused: isRefused(compiled) }).toEqual({ template: one.template, refused: heldBack });
      seen[heldBack ? 'refused' : 'registered']++;
      for (const { channel, dataClass } of carried) seen.carried.add(`${dataClass} by ${channel}`);
      if (find(one, policy, sayAll(compile(unguarded(one.template), pinned), one)).leaked.length > 0) seen.wouldLeak++;
    }
    expect(seen.refused).toBeGreaterThan(RUNS / 10);
    expect(seen.registered).toBeGreaterThan(RUNS / 20);
    // What is allowed arrives, and without the firewall most would leak: the canaries are seen where they are.
    expect([...seen.carried].sort()).toEqual(
      expect.arrayContaining(['phi by in_app', 'pii by email', 'public by email', 'public by push', 'public by sms']),
    );
    expect(seen.wouldLeak).toBeGreaterThan(RUNS / 2);
  });
});
