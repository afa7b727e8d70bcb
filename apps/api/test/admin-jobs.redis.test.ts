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
    if (!/logs/.test(url)) expect(answer.body).toContain(id);
  }
  expect((await get(`${path}/flow?root=node`)).json()).toEqual({ nodeId: id, isFlowNode: false, flowRoot: null });
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

test('what others wrote into schedulers is not shown', async () => {
  const queue = running.parts.queues().find(({ name }) => name === 'sms-0');
  await queue?.upsertJobScheduler('canary', { every: 3_600_000 }, { name: 'canary', data: { text: 'canary' } });
  const answer = await get(`${BOARD}/api/job-schedulers`);
  expect([answer.statusCode, answer.json()]).toEqual([200, { schedulers: [] }]);
});

test('what is wrong with a query, and a job in another state, is the caller’s fault and no line in the log', async () => {
  running.log.length = 0;
  for (const query of [
    'activeQueue=%25zz',
    'activeQueue=%25ff',
    'activeQueue=a&activeQueue=b',
    'activeQueue=sms-0&status=__proto__',
    'activeQueue=sms-0&page=0',
    'activeQueue=sms-0&page=99999999999999999999',
    'activeQueue=sms-0&jobsPerPage=301',
    'activeQueue=sms-0&jobsPerPage=x',
  ]) {
    const answer = await get(`${QUEUES}?${query}`);
    expect([query, answer.statusCode]).toEqual([query, 400]);
  }
  expect((await get(`${BOARD}/api/job-schedulers?queueName=%25zz`)).json()).toMatchObject({ code: 'FIELD_INVALID', field: 'queueName' });
  const path = await failedJob(running);
  for (const [method, url] of [
    ['PUT', `${QUEUES}/sms-0/retry/nonsense`],
    ['PUT', `${path}/promote`],
  ] as const) {
    const answer = await running.api.inject({ method, url, headers: AUTHORIZED });
    expect([method, url, answer.statusCode]).toEqual([method, url, 400]);
  }
  expect((await get(`${QUEUES}?activeQueue=sms-0&status=failed&page=1&jobsPerPage=300`)).statusCode).toBe(200);
  expect((await get(`${QUEUES}?activeQueue=&status=&page=&jobsPerPage=`)).statusCode).toBe(200);
  expect(running.log).toEqual([]);
});

test('the page asks no other site for anything', async () => {
  const page = await get(BOARD);
  expect([...page.body.matchAll(/(?:href|src)="(https?:[^"]*)"/g)]).toEqual([]);
  expect(page.headers['content-length']).toBe(`${Buffer.byteLength(page.body)}`);
});
