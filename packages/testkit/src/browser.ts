import { chromiumBinary } from '@carillon/embedded';
import { type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** As root in a container Chromium has no sandbox; the rest keeps it from talking to anybody but the pages under test. */
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A page that keeps what went wrong in it. */
export interface TestPage extends Page {
  /** Errors of the console and exceptions nobody caught, in order. Requests and sockets that fail are among them. */
  readonly problems: readonly string[];
  context(): TestContext;
}

/** A browser profile of its own, whose pages share cookies, storage and locks. Close it when done, or the browser. */
export interface TestContext extends BrowserContext {
  newPage(): Promise<TestPage>;
  pages(): TestPage[];
}

/** A real browser without a window. Made by openBrowser; call `close` when done. */
export interface TestBrowser {
  /** A profile of its own, as playwright-core's `browser.newContext`. */
  newContext(options?: BrowserContextOptions): Promise<TestContext>;
  /** A page in a profile of its own. */
  newPage(options?: BrowserContextOptions): Promise<TestPage>;
  /** Ends the browser and all its pages. */
  close(): Promise<void>;
}

/** Starts the Chromium of this machine, installed if there is none. @throws CarillonError INTERNAL, naming the line to type, if there is none */
export async function openBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({ executablePath: await chromiumBinary(), headless: true, args: ARGS });
  const newContext = async (options: BrowserContextOptions = {}) => {
    const context = await browser.newContext(options);
    // Told of each page, also those that a page opens, before newPage resolves.
    context.on('page', (page) => void Object.assign(page, { problems: problemsOf(page) }));
    return context as TestContext;
  };
  return {
    newContext,
    newPage: async (options) => (await newContext(options)).newPage(),
    close: () => browser.close(),
  };
}

function problemsOf(page: Page): string[] {
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('pageerror', (error) => void problems.push(String(error)));
  return problems;
}
