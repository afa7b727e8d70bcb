import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openBrowser, type TestBrowser } from './browser.js';
import { waitFor } from './wait-for.js';

let browser: TestBrowser;
beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(() => browser.close());

test('a page tells what went wrong in it', async () => {
  const page = await browser.newPage();
  await page.setContent('<button>Press</button>');
  await page.evaluate('console.log("fine"); console.error("not fine"); setTimeout(() => { throw new Error("thrown") })');
  await waitFor(() => page.problems.length >= 2, { what: 'two problems' });
  expect(page.problems).toEqual(['not fine', 'Error: thrown']);
  expect(await page.getByRole('button').textContent()).toBe('Press');
});

test('a page that a page opened tells as well', async () => {
  const context = await browser.newContext({ colorScheme: 'dark' });
  const page = await context.newPage();
  await page.evaluate('window.open("about:blank")');
  const opened = await waitFor(() => context.pages()[1], { what: 'the page opened' });
  await opened.evaluate('console.error("there")');
  await waitFor(() => opened.problems.length > 0, { what: 'its problem' });
  expect(page.problems).toEqual([]);
});
