import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type TestContext, type TestPage, waitFor } from '@carillon/testkit';
import { expect } from '@jest/globals';
import { apiKey, ask, hello } from './system.js';

/** The words by which the page's parts are found: those a person reads, or hears. */
export const bellOf = (page: TestPage) => page.getByRole('button', { name: /^Notifications/ });
export const panelOf = (page: TestPage) => page.getByRole('dialog', { name: 'Notifications' });
export const itemsOf = (page: TestPage) => panelOf(page).locator('.carillon-item');
export const sendOf = (page: TestPage) => page.getByRole('button', { name: 'Send', exact: true });
export const deliveryOn = (page: TestPage, channel: 'In-app' | 'Email' | 'Push') =>
  page
    .getByRole('list', { name: /^Deliveries of/ })
    .first()
    .getByRole('listitem')
    .filter({ has: page.locator('strong', { hasText: channel }) });

/** Registers `hello`, and a reminder for more channels, whose data has types. */
export async function registerTemplates(origin: string): Promise<void> {
  const reminder = {
    title: 'Appointment with {{therapist}}',
    body: '{{startsAt.date}} at {{startsAt.time}}',
    channels: ['in_app', 'email', 'push'],
    fields: { therapist: { type: 'text' }, startsAt: { type: 'datetime' } },
    email: { subject: 'Your appointment', html: '<p>{{therapist}} looks forward to it.</p>', text: '{{therapist}} looks forward to it.' },
    push: { title: 'A new message', body: 'Open the app to read it.' },
  };
  expect((await ask(`${origin}/v1/templates/hello`, 'PUT', hello)).status).toBe(200);
  expect((await ask(`${origin}/v1/templates/clinic-reminder`, 'PUT', reminder)).status).toBe(200);
}

/** Waits until a part of a page says something. */
export async function says(
  page: TestPage,
  part: { textContent(): Promise<string | null> },
  text: string | RegExp,
  timeout = 10_000,
): Promise<void> {
  const isSaid = async () => {
    const said = (await part.textContent()) ?? '';
    return typeof text === 'string' ? said.includes(text) : text.test(said);
  };
  await waitFor(isSaid, { timeout, what: `${text} on the page` }).catch(async (cause) => {
    throw new Error(`${text} is not said; the page says: ${await page.locator('main').textContent()}`, { cause });
  });
}

/** What the bell tells: how many are unread. */
export async function unreadOn(page: TestPage): Promise<number> {
  return Number(/, (\d+) unread$/.exec((await bellOf(page).getAttribute('aria-label')) ?? '')?.[1] ?? 0);
}
export const waitForUnread = (page: TestPage, count: number, timeout = 15_000) =>
  waitFor(async () => (await unreadOn(page)) === count, { timeout, what: `${count} unread on the bell` });

/** Waits until the open inbox lists so many, and gives their titles, newest first. */
export async function listed(page: TestPage, count: number): Promise<string[]> {
  await waitFor(async () => (await itemsOf(page).count()) === count, { what: `${count} notifications in the inbox` });
  return itemsOf(page).locator('.carillon-title').allInnerTexts();
}

/** Opens the playground in a tab of somebody who is signed in, at a user's inbox, and waits until it is live. */
export async function openPlayground(context: TestContext, origin: string, userId: string): Promise<TestPage> {
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  await page.getByLabel('User id').fill(userId);
  await page.getByRole('button', { name: 'Show' }).click();
  await live(page, userId);
  return page;
}

export async function live(page: TestPage, userId: string, timeout = 20_000): Promise<void> {
  await page
    .locator('[data-state="connected"]')
    .filter({ hasText: `${userId},` })
    .waitFor({ timeout });
}

/** Signs in by the form, as who has no link does. */
export async function signInByForm(page: TestPage, origin: string, to = '/'): Promise<void> {
  await page.goto(`${origin}/admin/login?to=${to}`);
  await page.getByLabel('API key').fill(apiKey);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(`${origin}${to}`);
}

const axe = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Expects axe-core to find nothing wrong with a page as it is. */
export async function expectAccessible(page: TestPage, what: string): Promise<void> {
  // By the debugger, which the page's policy does not bind.
  await page.evaluate(await axe);
  // What is fading in is not there yet.
  await page.evaluate('Promise.all(document.getAnimations().map((animation) => animation.finished))');
  const { violations } = (await page.evaluate('axe.run()')) as {
    violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  const found = violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`) }));
  expect({ what, found }).toEqual({ what, found: [] });
}
