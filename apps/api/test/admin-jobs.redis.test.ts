import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { AUTHORIZED, type RunningApi, startApi } from './running-api.js';
import { failedJob } from './samples.js';

let running: RunningApi;
beforeAll(async () => {
  running = await startApi();
});
afterAll(() => running.close());

const BOARD = '/admin/queues';
const QUEUES = `${BOARD}/api/queues`;
const get = (url: string) => running.api.inject({ method: 'GET', url, headers: AUTHORIZED });

test('of a job the board has ids, counts, times and a code, whatever else stands in it', async () => {
  const secret = 'canary-in-a-job';
  const path = await failedJob(running, secret);
  const id = path.split('/').at(-1);
  const answers = [path, `${path}/logs`, `${path}/flow`, `${QUEUES}?activeQueue=sms-0&status=failed`, `${QUEUES}?activeQueue=sms-0`];
  for (const url of answers) {
    const answer = await get(url);
    expect([url, answer.statusCode]).toEqual([url, 200]);
    expect(answer.body).not.toContain('canary');
    if (!/logs|flow/.test(url)) expect(answer.body).toContain(id);
  }
  const { job, status } = (await get(path)).json();
  expect(status).toBe('failed');
  expect(job).toMatchObject({
    id,
    name: 'sms',
    data: { v: 1, ids: [id], tries: 2 },
    opts: { attempts: 3, delay: 1 },
    failedReason: expect.stringMatching(/^PROVIDER_REFUSED: /),
    returnValue: null,
    isFailed: true,
  });
  expect(Object.keys(job.data)).toEqual(['v', 'ids', 'tries']);
  expect(job.stacktrace).toEqual([expect.stringContaining('at send (file:///app/send.js:1:2)')]);
});

test('jobs are not added, copied or changed at the board, nor queues emptied', async () => {
  const path = await failedJob(running);
  const headers = { ...AUTHORIZED, 'content-type': 'application/json' };
  for (const [method, url] of [
    ['POST', `${QUEUES}/sms-0/add`],
    ['PATCH', `${path}/update-data`],
    ['PATCH', `${path}/delay`],
    ['PATCH', `${path}/priority`],
    ['PUT', `${QUEUES}/sms-0/empty`],
    ['PUT', `${QUEUES}/sms-0/obliterate`],
    ['PUT', `${QUEUES}/sms-0/concurrency`],
    ['PUT', `${QUEUES}/sms-0/rate-limit`],
    ['GET', `${QUEUES}/sms-0/workers`],
    ['GET', `${BOARD}/api/redis/stats`],
  ] as const) {
    const payload = { name: 'x', data: {}, jobData: {}, concurrency: 1 };
    const answer = await running.api.inject({ method, url, headers, ...(method !== 'GET' && { payload }) });
    expect([method, url, answer.statusCode]).toEqual([method, url, 404]);
  }
});

test('the page asks no other site for anything', async () => {
  const page = await get(BOARD);
  expect([...page.body.matchAll(/(?:href|src)="(https?:[^"]*)"/g)]).toEqual([]);
  expect(page.headers['content-length']).toBe(`${Buffer.byteLength(page.body)}`);
});
