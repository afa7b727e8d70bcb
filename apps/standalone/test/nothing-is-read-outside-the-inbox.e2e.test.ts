import { gzipSync } from 'node:zlib';
import { createRedis } from '@carillon/redis';
import { overhear, redisFiles, redisValues, startRedis, waitFor } from '@carillon/testkit';
import { expect, test } from '@jest/globals';
import { Canaries, type CanaryClass, Evidence, encodings } from './canaries.js';
import { sendNonsense } from './canary-nonsense.js';
import { arrive, dieInTheMiddle, hearFromProviders, meetFailures, preview } from './canary-ways.js';
import { openWorld, plainly } from './canary-world.js';
import { endings } from './system.js';

const later = endings();

test('the search finds a text in every encoding, and in what is gzipped', () => {
  const canaries = new Canaries();
  const text = canaries.text('planted', 'phi');
  for (const [encoding, write] of Object.entries(encodings)) {
    for (const before of ['', 'a', 'ab', 'abc']) {
      const evidence = new Evidence();
      evidence.add(
        'there',
        Buffer.concat([Buffer.from('something "before" '), Buffer.from(write(`${before}${text}äöü`)), Buffer.from('.')]),
      );
      expect([encoding, before, evidence.sightings(canaries).length]).toEqual([encoding, before, 1]);
    }
  }
  const zipped = gzipSync(JSON.stringify({ some: { field: `ü${text}` } }));
  for (const packed of [
    zipped,
    Buffer.from(`x ${zipped.toString('base64')} y`),
    Buffer.concat([Buffer.from('\0\x1f\x8b'), zipped, zipped]),
  ]) {
    const evidence = new Evidence();
    evidence.add('there', packed);
    evidence.add('elsewhere', gzipSync(new Canaries().text('another', 'phi')));
    expect(evidence.sightings(canaries)).toEqual(['there: planted (phi, plain)']);
  }
});

test('the search finds a text in every kind of value, key, message and file of Redis', async () => {
  const server = await startRedis(plainly);
  later(() => server.stop());
  const heard = await overhear(server);
  later(heard.close);
  const redis = await createRedis({ url: server.url }, { prefix: '', temper: 'prompt' });
  later(redis.close);
  const canaries = new Canaries();
  const plant = (name: string) => canaries.text(name, 'phi');
  await redis.command('SET', 'string', plant('string'));
  await redis.command('SET', plant('key'), '1');
  await redis.command('RPUSH', 'list', 'a', plant('list'));
  await redis.command('HSET', 'hash', plant('field'), 'a', 'b', plant('value'));
  await redis.command('SADD', 'set', 'a', plant('set'));
  await redis.command('ZADD', 'zset', 1, plant('zset'));
  await redis.command('XADD', 'stream', '*', plant('stream field'), plant('stream value'));
  const kept = new Evidence();
  for (const [key, value] of await redisValues(redis)) kept.add('values', `${key} ${value}`);
  expect(kept.sightings(canaries)).toHaveLength(canaries.list.length);

  await redis.command('SET', 'gone', plant('gone'));
  await redis.command('DEL', 'gone');
  const files = new Evidence();
  for (const [name, bytes] of await redisFiles(server))
    files.add(name.endsWith('(as written)') ? 'before' : name.replace(/^.*\.(?=\w+ )/, ''), bytes);
  const there = canaries.list.length;
  const inFiles = (place: string) => files.sightings(canaries, (one) => one === place);
  expect(inFiles('before')).toHaveLength(there);
  expect(inFiles('rdb (rewritten and saved)')).toHaveLength(there - 1);

  await redis.command('PUBLISH', 'channel', plant('message'));
  await redis.command('EVAL', "redis.call('PUBLISH', 'channel', ARGV[1]) redis.call('INCRBY', 'n', 1)", 0, plant('message of a script'));
  await waitFor(() => heard.heard().includes('INCRBY'), { what: 'the script to be heard' });
  const commands = new Evidence();
  commands.add('commands', heard.heard());
  expect(commands.sightings(canaries)).toHaveLength(canaries.list.length);
});

test('no field of any payload is read outside of the person’s own inbox, whatever becomes of the notification', async () => {
  const world = await openWorld(later);
  const { evidence, canaries } = world;
  await world.start();
  const ann = await arrive(world);
  await meetFailures(world);
  await hearFromProviders(world);
  await sendNonsense(world, ann.client);
  await world.look('failures');
  await dieInTheMiddle(world);
  await preview(world);

  // Controls: the canaries were where they belong, and every place was really looked at.
  expect(ann.missing()).toEqual([]);
  const sent = (place: string, of: CanaryClass) => evidence.sightings(canaries, (one, canary) => one === place && canary === of);
  const mail = ['SendGrid', 'SMTP'];
  const others = ['FCM', 'Web Push', 'Twilio'];
  for (const place of [...mail, 'previews']) expect([place, sent(place, 'pii').length > 0]).toEqual([place, true]);
  for (const place of [...mail, ...others, 'previews']) expect([place, sent(place, 'public').length > 0]).toEqual([place, true]);
  expect(world.unseen()).toEqual([]);

  const mayHold = (place: string, canary: CanaryClass) => {
    if (mail.includes(place) || place === 'previews') return canary !== 'phi' && canary !== 'inner';
    // Whoever sends a name that is not known is told which.
    if (place === 'problems') return canary === 'unknown name';
    if (others.includes(place)) return canary !== 'phi' && canary !== 'pii' && canary !== 'inner';
    return false;
  };
  expect(evidence.sightings(canaries, (place, canary) => !mayHold(place, canary))).toEqual([]);
});
