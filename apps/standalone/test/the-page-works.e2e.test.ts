import { fileURLToPath } from 'node:url';
import {
  freePort,
  openBrowser,
  type SpawnedProcess,
  spawnProcess,
  startRedis,
  type TestBrowser,
  type TestContext,
  type TestPage,
  type TestRedis,
  waitFor,
} from '@carillon/testkit';
import { afterEach, beforeAll, expect, test } from '@jest/globals';
import {
  bellOf,
  deliveryOn,
  expectAccessible,
  itemsOf,
  listed,
  live,
  openPlayground,
  panelOf,
  registerTemplates,
  says,
  sendOf,
  signInByForm,
  waitForUnread,
} from './page.js';
import { apiKey, ask, end, endings, environmentOf, startRole, startStandalone } from './system.js';

const later = endings('all');
const afterThis = endings();

let redis: TestRedis;
let browser: TestBrowser;
let link: string;
let origin: string;
/** A browser profile that is signed in. */
let context: TestContext;
let standalone: SpawnedProcess;

beforeAll(async () => {
  redis = await startRedis();
  later(() => redis.stop());
  const started = await startStandalone({ redisUrl: redis.url });
  standalone = started.process;
  later(() => end(started.process));
  link = (await standalone.ready(/^page: +(\S+)$/m))[1] as string;
  origin = new URL(link).origin;
  browser = await openBrowser();
  later(() => browser.close());
  context = await browser.newContext();
  await signInByForm(await context.newPage(), origin);
}, 60_000);

/** Pages of which no error is expected. */
const spotless: TestPage[] = [];
const watched = (page: TestPage): TestPage => {
  spotless.push(page);
  return page;
};
afterEach(async () => {
  const problems = spotless.flatMap((page) => page.problems);
  for (const page of spotless.splice(0)) await page.close();
  expect(problems).toEqual([]);
});

const send = (userId: string, name: string, url = origin) =>
  ask(`${url}/v1/notifications`, 'POST', { userId, templateId: 'hello', data: { name }, channels: ['in_app'] });

test('the printed link opens the page signed in; what is sent arrives by itself, and each channel tells how it stands', async () => {
  const fresh = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' });
  afterThis(() => fresh.close());
  const page = watched(await fresh.newPage());
  const foreign: string[] = [];
  page.on('request', (request) => {
    if (new URL(request.url()).hostname !== 'localhost') foreign.push(request.url());
  });
  await page.goto(link);
  expect(page.url()).toBe(`${origin}/`);
  await page.getByRole('button', { name: 'Register a sample' }).click();
  await live(page, 'user-123');
  await bellOf(page).click();
  await panelOf(page).getByText('Nothing here.').waitFor();

  // While its queue is paused the mail stays where it is.
  expect((await ask(`${origin}/admin/queues/api/queues/email-0/pause`, 'PUT')).status).toBeLessThan(300);
  await page.getByLabel('Mail address').fill('ada@example.com');
  await sendOf(page).click();
  await says(page, deliveryOn(page, 'In-app'), 'delivered');
  await says(page, deliveryOn(page, 'Push'), /skipped.*The user has no device/);
  await says(page, deliveryOn(page, 'Email'), 'pending');
  await waitForUnread(page, 1);
  await bellOf(page).click();
  expect(await listed(page, 1)).toEqual([expect.stringContaining('Appointment with Dr. Smith')]);
  expect((await ask(`${origin}/admin/queues/api/queues/email-0/resume`, 'PUT')).status).toBeLessThan(300);
  await says(page, deliveryOn(page, 'Email'), /sent.*Kept for preview instead of being sent/);
  const mail = page.frameLocator('iframe[title="The mail as it looks"]');
  await mail.getByText('Dr. Smith looks forward to it.').waitFor();
  // The picture of the README is made by this test, where a path for it is given.
  const picture = process.env.CARILLON_PICTURE;
  if (picture) await page.screenshot({ path: picture, animations: 'disabled' });

  await page.getByRole('link', { name: 'Timeline' }).click();
  await says(page, deliveryOn(page, 'Push'), /skipped.*The user has no device.*no_device/);
  await page.getByLabel('With a delivery that is').selectOption('failed');
  await page.getByText('0 notifications of user-123').waitFor();
  expect(foreign).toEqual([]);
  expect(await page.content()).not.toContain(apiKey);
  expect(standalone.output().match(/\/open\//g)).toHaveLength(1);
});

test('a link that was used opens nothing and leads to the form', async () => {
  const stranger = await (await browser.newContext()).newPage();
  afterThis(() => stranger.context().close());
  await fetch(link, { redirect: 'manual' });
  const answer = await stranger.goto(link);
  expect(answer?.status()).toBe(401);
  await stranger.getByText('This link cannot be used any more').waitFor();
  await stranger.goto(`${origin}/`);
  await stranger.getByRole('heading', { name: 'You are not signed in' }).waitFor();
  await stranger.getByRole('link', { name: 'Sign in' }).click();
  await stranger.getByLabel('API key').fill(apiKey);
  await stranger.getByRole('button', { name: 'Sign in' }).click();
  await live(stranger, 'user-123');
});

test('what a production says is kept in logs: neither a link nor a key is in it', async () => {
  const { process: production } = await startStandalone(
    { redisUrl: redis.url, prefix: 'production:' },
    {
      NODE_ENV: 'production',
      NOTIFICATION_PHI_POLICY: 'standard',
      NOTIFICATION_ACCEPT_RISK: 'plain-redis,plain-ws,weak-secret',
      NOTIFICATION_DELIVERY: 'sandbox',
    },
  );
  afterThis(() => end(production));
  expect(production.output()).toContain('previews:');
  expect(production.output()).not.toContain('/open/');
  expect(production.output()).not.toContain(apiKey);
});

test('badge and list are equal in two tabs, and what is read in one is read in the other', async () => {
  await registerTemplates(origin);
  const [one, two] = [watched(await openPlayground(context, origin, 'ann')), watched(await openPlayground(context, origin, 'ann'))];
  for (const name of ['Ada', 'Bob', 'Cay']) await send('ann', name);
  for (const page of [one, two]) {
    await waitForUnread(page, 3);
    await bellOf(page).click();
  }
  const lists = await Promise.all([one, two].map((page) => listed(page, 3)));
  expect(lists).toEqual([
    ['Hello Cay', 'Hello Bob', 'Hello Ada'],
    ['Hello Cay', 'Hello Bob', 'Hello Ada'],
  ]);
  await itemsOf(one)
    .first()
    .getByRole('button', { name: /^Mark as read/ })
    .click();
  for (const page of [one, two]) {
    await waitForUnread(page, 2);
    const unread = itemsOf(page).filter({ hasText: '(Unread)' });
    await waitFor(async () => (await unread.count()) === 2, { what: 'two unread in the list' });
  }
  // The tab that holds the connection may go.
  await one.close();
  await send('ann', 'Dee');
  await waitForUnread(two, 3);
});

test('offline and back: what was sent meanwhile is there, once', async () => {
  await registerTemplates(origin);
  const away = await browser.newContext();
  afterThis(() => away.close());
  await signInByForm(await away.newPage(), origin);
  const page = await openPlayground(away, origin, 'oli');
  await away.setOffline(true);
  for (const name of ['Eve', 'Fay']) await send('oli', name);
  await away.setOffline(false);
  await waitForUnread(page, 2, 40_000);
  await bellOf(page).click();
  expect(await listed(page, 2)).toEqual(['Hello Fay', 'Hello Eve']);
  expect(page.problems.filter((problem) => !/ERR_INTERNET_DISCONNECTED|WebSocket/.test(problem))).toEqual([]);
});

test('a gateway that is killed comes back, and nothing was missed', async () => {
  const place = { redisUrl: redis.url, prefix: 'killed:' };
  const [http, ws] = [await freePort(), await freePort()];
  const main = fileURLToPath(new URL('../dist/api.js', import.meta.url));
  const ports = { NOTIFICATION_HTTP_PORT: `${http}`, NOTIFICATION_WS_PORT: `${ws}` };
  const url = `http://localhost:${http}`;
  const gateway = () => startRole('gateway', place, ports);
  const first = gateway();
  const others = [
    spawnProcess(main, { env: { ...environmentOf(place), ...ports } }),
    startRole('renderer', place),
    startRole('in-app', place),
  ];
  for (const role of [first, ...others]) afterThis(() => end(role));
  await first.ready('gateway listening');
  await others[0]?.ready('api listening');
  await registerTemplates(url);
  const tab = await browser.newContext();
  afterThis(() => tab.close());
  await signInByForm(await tab.newPage(), url);
  const page = await openPlayground(tab, url, 'gil');
  await send('gil', 'before', url);
  await waitForUnread(page, 1, 30_000);
  await end(first);
  for (const name of ['one', 'two', 'three']) await send('gil', name, url);
  const second = gateway();
  afterThis(() => end(second));
  await waitForUnread(page, 4, 60_000);
  await bellOf(page).click();
  expect(await listed(page, 4)).toEqual(['Hello three', 'Hello two', 'Hello one', 'Hello before']);
  expect(page.problems.filter((problem) => !problem.includes('WebSocket'))).toEqual([]);
}, 180_000);

test('by keyboard alone: send, look, mark as read, and back', async () => {
  await registerTemplates(origin);
  const page = watched(await openPlayground(context, origin, 'kay'));
  await page.getByLabel('Template').selectOption('hello');
  const press = async (key: string, isThere: () => Promise<boolean>, times = 60) => {
    for (let i = 0; i < times && !(await isThere()); i++) await page.keyboard.press(key);
    expect(await isThere()).toBe(true);
  };
  const focused = (selector: string) => async () =>
    (await page.evaluate(`document.activeElement?.matches(${JSON.stringify(selector)}) ?? false`)) === true;
  await page.locator('body').focus();
  await press('Tab', focused('fieldset input[type="text"]'));
  await page.keyboard.type('Kay');
  await press('Tab', focused('button.button-first'));
  await page.keyboard.press('Enter');
  await waitForUnread(page, 1);
  await press('Tab', focused('.carillon-bell'));
  await page.keyboard.press('Enter');
  await panelOf(page).waitFor();
  await itemsOf(page).first().waitFor();
  await press('Tab', focused('.carillon-actions button[aria-label^="Mark as read"]'));
  await page.keyboard.press('Space');
  await waitForUnread(page, 0);
  await page.keyboard.press('Escape');
  await waitFor(focused('.carillon-bell'), { what: 'the focus to be back on the bell' });
  await press('Shift+Tab', focused('header a[href="#timeline"]'));
  await page.keyboard.press('Enter');
  await page.getByText('1 notification of kay').waitFor();
});

test.each(['light', 'dark'] as const)('axe-core finds nothing wrong with any area, %s', async (colorScheme) => {
  await registerTemplates(origin);
  const page = watched(await openPlayground(context, origin, `axe-${colorScheme}`));
  await page.emulateMedia({ colorScheme });
  await expectAccessible(page, 'playground');
  await page.getByLabel('Template').selectOption('clinic-reminder');
  await page.getByLabel('Mail address').fill('ada@example.com');
  await page.getByRole('button', { name: 'Preview the words' }).click();
  await page.getByText('Open the app to read it.').waitFor();
  await sendOf(page).click();
  await page.frameLocator('iframe').getByText('looks forward to it').waitFor();
  await waitForUnread(page, 1);
  await expectAccessible(page, 'sent');
  await bellOf(page).click();
  await itemsOf(page).first().waitFor();
  await expectAccessible(page, 'inbox open');
  await page.setViewportSize({ width: 360, height: 740 });
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
  await page.getByRole('link', { name: 'Timeline' }).click();
  await deliveryOn(page, 'Push').waitFor();
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
  await expectAccessible(page, 'timeline');
  const stranger = watched(await browser.newPage({ colorScheme }));
  await stranger.goto(`${origin}/`);
  await stranger.getByRole('heading', { name: 'You are not signed in' }).waitFor();
  await expectAccessible(stranger, 'signed out');
});

test('what the interface refuses is told in words, and what a layout asks for can be typed', async () => {
  const foot = { html: '<footer>{{clinic}}</footer>' };
  const letter = {
    title: 'A letter',
    body: 'For {{name}}',
    channels: ['email'],
    email: { subject: 'A letter', html: '<p>{{name}}</p>{{> foot}}' },
  };
  expect((await ask(`${origin}/v1/partials/foot`, 'PUT', foot)).status).toBe(200);
  for (const id of ['letter', 'short-lived']) expect((await ask(`${origin}/v1/templates/${id}`, 'PUT', letter)).status).toBe(200);
  const page = await openPlayground(context, origin, 'ref');
  await page.getByLabel('Template').selectOption('short-lived');
  expect((await ask(`${origin}/v1/templates/short-lived`, 'DELETE')).status).toBe(204);
  await page.getByLabel('name').fill('Ada');
  await page.getByLabel('Mail address').fill('ada@example.com');
  await sendOf(page).click();
  await page.getByRole('alert').filter({ hasText: 'No template is registered under this id.' }).waitFor();

  await page.getByLabel('Template').selectOption('letter');
  await page.getByLabel('name').fill('Ada');
  await page.getByLabel('Mail address').fill('ada@example.com');
  await sendOf(page).click();
  await page.getByRole('alert').filter({ hasText: 'clinic' }).waitFor();
  await page.getByLabel('clinic').fill('Clinic on the hill');
  await sendOf(page).click();
  await page.frameLocator('iframe').getByText('Clinic on the hill').waitFor();
  expect(page.problems.filter((problem) => !problem.includes('status of 40'))).toEqual([]);
});

test('the description of the interface loads nothing from elsewhere', async () => {
  const page = watched(await context.newPage());
  const foreign: string[] = [];
  page.on('request', (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol !== 'data:' && protocol !== 'blob:' && host !== new URL(origin).host) foreign.push(request.url());
  });
  await page.goto(`${origin}/docs`);
  await page.getByRole('heading', { name: 'Carillon', exact: true }).waitFor({ timeout: 20_000 });
  await page.getByText('Whether the process is alive').first().waitFor({ timeout: 20_000 });
  await page.getByText('templates', { exact: true }).first().click();
  await page.getByText('Register a template; the same content is the same version').first().waitFor({ timeout: 20_000 });
  expect(foreign).toEqual([]);
  const stranger = watched(await browser.newPage());
  await stranger.goto(`${origin}/docs`);
  expect(stranger.url()).toBe(`${origin}/admin/login?to=/docs`);
});

test('who signs out is out, in every tab', async () => {
  const tab = await browser.newContext();
  afterThis(() => tab.close());
  await signInByForm(await tab.newPage(), origin);
  const [page, other] = [await openPlayground(tab, origin, 'out'), await openPlayground(tab, origin, 'out')];
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(`${origin}/admin/login`);
  await page.goto(`${origin}/`);
  await page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
  await other.getByRole('link', { name: 'Timeline' }).click();
  await other.getByRole('heading', { name: 'You are not signed in' }).waitFor();
});
