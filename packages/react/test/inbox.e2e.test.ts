import { randomUUID } from 'node:crypto';
import { openBrowser, type TestBrowser, type TestContext, type TestPage, waitFor } from '@carillon/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Wishes } from './fixture/wishes.js';
import { type Service, startPages, startService, tokenFor, violationsOf } from './harness.js';

/** Without motion, since the first pictures of an animation are pale. */
const LOOK = { viewport: { width: 1000, height: 700 }, reducedMotion: 'reduce' } as const;
/** What the console says of a gateway that is gone, which is no fault of the page. */
const UNREACHABLE = /WebSocket connection to/;

describe.each(['react', 'react-18'] as const)('with %s', (react) => {
  let browser: TestBrowser;
  let service: Service;
  let pages: Awaited<ReturnType<typeof startPages>>;
  let userId: string;
  let opened: TestPage[];

  beforeAll(async () => {
    [browser, service, pages] = await Promise.all([openBrowser(), startService(), startPages(react)]);
  });
  afterAll(async () => {
    await browser?.close();
    await service?.stop();
    await pages?.stop();
  });
  beforeEach(() => {
    userId = `user|${randomUUID()}`;
    opened = [];
    pages.wishes.forget();
  });
  afterEach(async () => {
    service.refuse(false);
    pages.wishes.refuse(false);
    const problems = opened.flatMap((page) => page.problems);
    for (const page of opened) await page.context().close();
    expect(problems).toEqual([]);
  });

  /** A page with the user's inbox, once it is loaded. */
  const open = async (wishes: Partial<Wishes> = {}, context?: TestContext) => {
    const page = await (context ?? (await browser.newContext(LOOK))).newPage();
    opened.push(page);
    const all: Wishes = { url: service.url, token: await tokenFor(userId), ...wishes };
    await page.goto(`${pages.url}/?${encodeURIComponent(JSON.stringify(all))}`);
    await page.locator('#hooks[data-loaded=true][data-state=connected]').waitFor();
    return page;
  };
  const bell = (page: TestPage) => page.locator('.carillon-bell');
  const panel = (page: TestPage) => page.getByRole('dialog');
  const items = (page: TestPage) => panel(page).getByRole('listitem');
  const titles = (page: TestPage) => page.locator('.carillon-title').allTextContents();
  const press = async (page: TestPage, name: string) => {
    // A page behind another one draws once a second.
    await page.bringToFront();
    await panel(page).getByRole('button', { name }).click();
  };
  const shows = (page: TestPage, expected: readonly string[]) =>
    waitFor(async () => expect(await titles(page)).toEqual(expected) ?? true, { what: `the list ${expected}` });
  const counts = (page: TestPage, count: number) =>
    waitFor(
      async () => {
        const badge = page.locator('.carillon-badge');
        expect([(await badge.count()) ? await badge.textContent() : '0', await page.locator('#count').textContent()]).toEqual([
          String(count),
          String(count),
        ]);
        return true;
      },
      { what: `${count} on badge and hook` },
    );
  /** What has the focus: its role if it has one, and its name. */
  const hasFocus = (page: TestPage) =>
    page.evaluate(() => {
      const { ariaLabel, role, textContent } = document.activeElement ?? document.body;
      return role === 'dialog' ? role : (ariaLabel ?? textContent);
    });

  test('what arrives is shown, counted and told of, and nothing of what it says', async () => {
    await service.append(userId, ['old']);
    const page = await open();
    await counts(page, 1);
    await bell(page).click();
    await shows(page, ['old']);
    await service.append(userId, ['new']);
    await shows(page, ['new', 'old']);
    await counts(page, 2);
    expect(await bell(page).getAttribute('aria-label')).toBe('Notifications, 2 unread');
    const said = await waitFor(() => page.locator('.carillon [role=status]').textContent(), { what: 'what a screen reader says' });
    expect(said).toBe('1 new notification');
    await service.append(
      userId,
      Array.from({ length: 100 }, (_, n) => `more ${n}`),
    );
    await waitFor(async () => (await page.locator('.carillon-badge').textContent()) === '99+', { what: 'a full badge' });
  });

  test('two pages follow each other, in one browser and in two', async () => {
    await service.append(userId, ['first', 'second', 'third']);
    const context = await browser.newContext(LOOK);
    const [one, same, other] = [await open({}, context), await open({}, context), await open()];
    for (const page of [one, same, other]) {
      await bell(page).click();
      await shows(page, ['third', 'second', 'first']);
    }
    await press(one, 'Mark as read: second');
    for (const page of [one, same, other]) await counts(page, 2);
    await press(same, 'Archive: third');
    for (const page of [one, same, other]) await shows(page, ['second', 'first']);
    await press(other, 'Delete: second');
    for (const page of [one, same, other]) await shows(page, ['first']);
    await press(one, 'Mark all as read');
    for (const page of [one, same, other]) await counts(page, 0);
    await press(one, 'Mark as unread: first');
    for (const page of [one, same, other]) await counts(page, 1);
    const head = await service.inbox.page(userId, { limit: 10 });
    expect(head).toMatchObject({ unreadCount: 1, data: [{ title: 'third' }, { title: 'first', readAt: null }] });
  });

  test('what the server refuses is taken back, and said', async () => {
    await service.append(userId, ['first', 'second']);
    const page = await open();
    await bell(page).click();
    await shows(page, ['second', 'first']);
    service.refuse(true);
    await press(page, 'Delete: second');
    await panel(page).getByRole('alert').waitFor();
    await shows(page, ['second', 'first']);
    await press(page, 'Archive: first');
    await shows(page, ['second', 'first']);
    await counts(page, 2);
    service.refuse(false);
    await press(page, 'Delete: second');
    await shows(page, ['first']);
    expect(await panel(page).getByRole('alert').count()).toBe(0);
  });

  test('each tab shows its list', async () => {
    const [first, second] = await service.append(userId, ['first', 'second', 'third']);
    await service.inbox.mark(userId, first as string, 'archived');
    await service.inbox.mark(userId, second as string, 'read');
    const page = await open();
    await bell(page).click();
    await shows(page, ['third', 'second']);
    await panel(page).getByRole('tab', { name: 'Unread' }).click();
    await shows(page, ['third']);
    await panel(page).getByRole('tab', { name: 'Archived' }).click();
    await shows(page, ['first']);
    await press(page, 'Move to inbox: first');
    await panel(page).getByText('Nothing here.').waitFor();
    await panel(page).getByRole('tab', { name: 'All' }).click();
    await shows(page, ['third', 'second', 'first']);
  });

  test('the keyboard does all, and the focus is never lost', async () => {
    await service.append(userId, ['first', 'second', 'third']);
    const page = await open();
    const key = (name: string) => page.keyboard.press(name);
    const tabTo = async (name: string) => {
      for (let steps = 0; steps < 20; steps++) {
        if ((await hasFocus(page))?.includes(name)) return;
        await key('Tab');
      }
      throw new Error(`the focus never came to ${name}`);
    };
    await tabTo('Notifications, 3 unread');
    await key('Enter');
    await shows(page, ['third', 'second', 'first']);
    expect(await hasFocus(page)).toBe('dialog');
    await tabTo('All');
    await key('ArrowRight');
    expect(await hasFocus(page)).toBe('Unread');
    await key('End');
    expect(await hasFocus(page)).toBe('Archived');
    await key('ArrowRight');
    expect(await hasFocus(page)).toBe('All');
    await shows(page, ['third', 'second', 'first']);
    await tabTo('Delete: second');
    await key('Space');
    await shows(page, ['third', 'first']);
    await waitFor(async () => (await hasFocus(page))?.includes('first'), { what: 'the focus on what took the place' });
    await key('Enter');
    await counts(page, 1);
    await tabTo('Delete: first');
    await key('Enter');
    await shows(page, ['third']);
    await waitFor(async () => (await hasFocus(page))?.includes('third'), { what: 'the focus on what is left' });
    await tabTo('Archive: third');
    await key('Enter');
    await waitFor(async () => (await hasFocus(page)) === 'dialog', { what: 'the focus on the panel' });
    await key('Escape');
    expect(await panel(page).count()).toBe(0);
    expect(await hasFocus(page)).toBe('Notifications');
    await key('Enter');
    await tabTo('Another button');
    expect(await panel(page).count()).toBe(0);
  });

  test('it closes when somebody goes elsewhere', async () => {
    const page = await open();
    await bell(page).click();
    await panel(page).waitFor();
    await page.locator('h1').click();
    expect(await panel(page).count()).toBe(0);
    await bell(page).click();
    await press(page, 'Close');
    expect(await panel(page).count()).toBe(0);
    expect(await hasFocus(page)).toBe('Notifications');
  });

  test.each([
    ['in light', {}],
    ['in dark', { theme: 'dark' }],
    ['from right to left', { dir: 'rtl', locale: 'ar' }],
  ] as [string, Partial<Wishes>][])('axe-core finds nothing wrong %s', async (_, wishes) => {
    const page = await open({ apiUrl: pages.url, ...wishes });
    expect(await violationsOf(page)).toEqual([]);
    await bell(page).click();
    await panel(page).getByText('Nothing here.').waitFor();
    expect(await violationsOf(page)).toEqual([]);
    await service.append(userId, ['with a link', 'without'], { url: '/appointments' });
    const [read] = await service.append(userId, ['read']);
    await service.inbox.markAsRead(userId, read as string);
    await shows(page, ['read', 'without', 'with a link']);
    expect(await violationsOf(page)).toEqual([]);
    await items(page).first().hover();
    expect(await violationsOf(page)).toEqual([]);
    await press(page, 'Preferences');
    await panel(page).getByLabel('Email').waitFor();
    expect(await violationsOf(page)).toEqual([]);
    await panel(page).getByLabel('Mute all notifications').click();
    expect(await violationsOf(page)).toEqual([]);
    await panel(page).getByLabel('Mute all notifications').click();
    await page.setViewportSize({ width: 320, height: 480 });
    expect(await violationsOf(page)).toEqual([]);
    const { x, width } = (await panel(page).boundingBox())!;
    expect(x >= 0 && x + width <= 320).toBe(true);
  });

  test('from right to left, the panel stays in view and arrows go as one reads', async () => {
    await service.append(userId, ['one']);
    const page = await open({ dir: 'rtl', locale: 'ar' });
    await bell(page).click();
    await shows(page, ['one']);
    const { x, width } = (await panel(page).boundingBox())!;
    expect(x >= 0 && x + width <= 1000).toBe(true);
    expect(await page.locator('time').textContent()).toMatch(/[\u0600-\u06ff]/);
    await panel(page).getByRole('tab', { name: 'All' }).focus();
    await page.keyboard.press('ArrowLeft');
    expect(await hasFocus(page)).toBe('Unread');
  });

  test('preferences are kept as they are changed, and taken back if that is refused', async () => {
    await service.append(userId, ['one'], { category: 'billing' });
    const page = await open({ apiUrl: pages.url });
    await bell(page).click();
    await press(page, 'Preferences');
    await panel(page).getByLabel('Email').uncheck();
    await panel(page).getByLabel('billing').uncheck();
    await panel(page).getByLabel('Reminders').waitFor();
    await waitFor(() => expect(pages.wishes.kept()).toEqual({ channels: { email: false }, categories: { billing: false } }) ?? true, {
      what: 'what was kept',
    });
    pages.wishes.refuse(true);
    await panel(page).getByLabel('Push').click();
    await panel(page).getByRole('alert').waitFor();
    expect(await panel(page).getByLabel('Push').isChecked()).toBe(true);
    await press(page, 'Back');
    await shows(page, ['one']);
    // What the browser says of the 503.
    expect((page.problems as string[]).splice(0)).toEqual([expect.stringContaining('503')]);
  });

  test('older ones come as the end of the list does', async () => {
    const all = Array.from({ length: 60 }, (_, n) => `number ${n}`);
    await service.append(userId, all);
    const page = await open({ pageSize: 25 });
    await bell(page).click();
    await waitFor(async () => (await items(page).count()) >= 25, { what: 'a page' });
    for (const least of [26, 51]) {
      await page.locator('.carillon-list').evaluate((list) => list.scrollTo(0, list.scrollHeight));
      await waitFor(async () => (await items(page).count()) >= least, { what: `more than ${least - 1}` });
    }
    await shows(page, all.reverse());
    expect(await page.locator('.carillon-more').count()).toBe(0);
  });

  test('what was in view for a second is seen, and nothing else', async () => {
    await service.append(
      userId,
      Array.from({ length: 30 }, (_, n) => `number ${n}`),
    );
    const page = await open();
    await bell(page).click();
    const seen = async () =>
      (await service.inbox.page(userId, { limit: 50 })).data.filter(({ seenAt }) => seenAt).map(({ title }) => title);
    await waitFor(async () => (await seen()).includes('number 29'), { what: 'the first seen' });
    await page.locator('.carillon-list').evaluate((list) => list.scrollTo(0, list.scrollHeight));
    await waitFor(async () => (await seen()).includes('number 0'), { what: 'the last seen' });
    expect(await seen()).not.toContain('number 15');
    await counts(page, 30);
  });

  test('links lead to pages only', async () => {
    await service.append(userId, ['script'], { url: 'javascript:document.title="taken"' });
    await service.append(userId, ['path'], { url: '/appointments?id=1#top' });
    await service.append(userId, ['address'], { url: 'https://clinic.example/' });
    const page = await open();
    await bell(page).click();
    await shows(page, ['address', 'path', 'script']);
    const links = page.locator('a.carillon-open');
    expect(await links.evaluateAll((links) => links.map((link) => [link.getAttribute('href'), link.getAttribute('rel')]))).toEqual([
      ['https://clinic.example/', 'noopener noreferrer'],
      ['/appointments?id=1#top', 'noopener noreferrer'],
    ]);
    await page.locator('button.carillon-open').click();
    await counts(page, 2);
    expect(await page.title()).toBe('Inbox');
  });

  test('texts are text', async () => {
    await service.append(userId, ['<img src=x onerror="document.title=1">']);
    const page = await open();
    await bell(page).click();
    await shows(page, ['<img src=x onerror="document.title=1">']);
    expect(await page.locator('img').count()).toBe(0);
  });

  test('hooks follow their filters', async () => {
    await service.append(userId, ['one', 'two'], { category: 'reminder' });
    await service.append(userId, ['three']);
    const page = await open({ apiUrl: pages.url });
    const says = (id: string, text: string) =>
      waitFor(async () => expect(await page.locator(id).textContent()).toBe(text) ?? true, { what: `${id} ${text}` });
    await says('#all', '3');
    await says('#reminders', 'two, one');
    await says('#preferences', JSON.stringify(pages.wishes.kept()));
    await service.append(userId, ['four'], { category: 'reminder' });
    await says('#reminders', 'four, two, one');
    await says('#all', '4');
  });

  test('words, tabs, place, colours and what opens it may be the page’s own', async () => {
    await service.append(userId, ['one', 'two'], { category: 'reminder', url: '/elsewhere' });
    await service.append(userId, ['three']);
    const page = await open({ custom: true, aloud: true, locale: 'de' });
    const mine = page.getByRole('button', { name: 'Mitteilungen, 3 neue' });
    expect(await mine.textContent()).toBe('Bell3');
    await mine.click();
    await shows(page, ['two', 'one']);
    expect(await panel(page).getByRole('tab').allTextContents()).toEqual(['Reminders', 'Since then']);
    await panel(page).getByRole('link').first().click();
    expect(await page.locator('#clicked').textContent()).toBe('two');
    await counts(page, 2);
    expect(await page.locator('.carillon.mine').getAttribute('style')).toBe('--carillon-accent: #083;');
    await service.append(userId, ['four']);
    const said = await waitFor(() => page.locator('.carillon [role=status]').textContent(), { what: 'what a screen reader says' });
    expect(said).toBe('four');
    expect(await page.locator('time').first().textContent()).toMatch(/^(jetzt|vor)/);
  });

  test('a client and drawing of one’s own do', async () => {
    await service.append(userId, ['one', 'two'], { category: 'reminder' });
    const page = await open({ custom: true, own: true });
    await bell(page).click();
    await press(page, 'Put away one');
    await counts(page, 1);
  });

  test('a page in strict mode has one connection, and none when it is closed', async () => {
    await waitFor(() => service.sockets() === 0, { what: 'the end of the pages before' });
    const page = await open({ alone: true });
    await waitFor(() => service.sockets() === 1, { what: 'one connection' });
    await page.close();
    await waitFor(() => service.sockets() === 0, { what: 'no connection' });
  });

  test('a gateway that is away is told of, and nothing is missed', async () => {
    await service.append(userId, ['first']);
    const page = await open();
    await bell(page).click();
    await shows(page, ['first']);
    await service.stop();
    await panel(page).getByText('Offline.').waitFor();
    expect(await violationsOf(page)).toEqual([]);
    await service.append(userId, ['second']);
    await service.restart();
    await waitFor(async () => (await titles(page)).length === 2, { what: 'what was missed', timeout: 30_000 });
    await shows(page, ['second', 'first']);
    await counts(page, 2);
    await waitFor(async () => (await panel(page).getByText('Offline.').count()) === 0, { what: 'the end of the notice' });
    const problems = (page.problems as string[]).splice(0);
    expect(problems.filter((problem) => !UNREACHABLE.test(problem))).toEqual([]);
  });
});
