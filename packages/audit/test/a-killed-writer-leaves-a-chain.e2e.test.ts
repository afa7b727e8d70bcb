import { createRedis } from '@carillon/redis';
import { spawnProcess, startRedis, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { chainsInFolder, chainsInRedis, openAudit, verify } from '../src/index.js';
import { folder, HOUR, recordsOf } from './installation.js';

test.each(['file', 'redis'])('with a sink of %s, all that was kept before SIGKILL is there and verifies', async (kind) => {
  const server = await startRedis();
  const files = folder();
  const sink = kind === 'file' ? `file:${files}` : kind;
  const redis = await createRedis({ url: server.url }, { prefix: 'killed:', temper: 'prompt' });
  const process = spawnProcess(new URL('./fixtures/writer.ts', import.meta.url).pathname, { args: [server.url, 'killed:', sink] });
  const [, writer = ''] = await process.ready(/writing (\S+)\n/);
  await process.ready(/kept 50 /);
  process.kill('SIGKILL');
  await process.exited;
  const kept = Number([...process.output().matchAll(/kept (\d+) /g)].at(-1)?.[1]);

  const chains = kind === 'file' ? chainsInFolder(files) : chainsInRedis(redis);
  expect((await verify(chains)).faults).toEqual([]);
  const ids: string[] = [];
  for await (const text of chains.records(writer)) ids.push(...(JSON.parse(text).ids ?? []));
  expect(ids.slice(0, kept + 1)).toEqual(Array.from({ length: kept + 1 }, (_, i) => `${i}`));

  // Whoever comes next anchors it.
  const next = await openAudit({ redis, sink, retention: HOUR, writer: 'next' });
  const [opened] = await waitFor(async () => (await recordsOf(redis, next)).length > 0 && recordsOf(redis, next), {
    what: 'its first record',
  });
  expect(opened?.heads?.map((head) => head.writer)).toEqual([writer]);
  await next.close();
  expect((await verify(chains)).faults).toEqual([]);
  await redis.close();
  await server.stop();
});
