import { createRevocations, createTokenIssuer, createTokenVerifier, isRevoked } from '@carillon/access';
import { createRedis, type Redis } from '@carillon/redis';
import { redisPlaces, waitFor } from '@carillon/testkit';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const jwtSecret = 'a secret of thirty-two bytes or more';
const issuer = createTokenIssuer({ jwtSecret });
const verifier = createTokenVerifier({ jwtSecret });
const newToken = async (userId: string) => verifier.verify((await issuer.issue(userId)).token);

describe.each(Object.entries(redisPlaces))('on %s', (_, start) => {
  let place: Awaited<ReturnType<typeof start>>;
  let redis: Redis;
  beforeAll(async () => {
    place = await start();
    redis = await createRedis({ url: place.url }, { prefix: 'access:', temper: 'prompt' });
  });
  afterAll(async () => {
    await redis.close();
    await place.stop();
  });

  test('what was issued before counts no more, what is issued right after counts, round after round', async () => {
    const { revoke, since } = createRevocations(redis);
    let old = await newToken('auth0|{anna}');
    for (let round = 0; round < 50; round++) {
      await revoke('auth0|{anna}');
      const fresh = await newToken('auth0|{anna}');
      const [moment = 0] = await since(['auth0|{anna}']);
      expect(isRevoked(old, moment)).toBe(true);
      expect(isRevoked(fresh, moment)).toBe(false);
      old = fresh;
    }
  });

  test('nobody else is concerned, and answers come in order', async () => {
    const { revoke, since } = createRevocations(redis);
    await revoke('bert');
    const [never, bert, neither] = await since(['clara', 'bert', 'dora']);
    expect([never, neither]).toEqual([0, 0]);
    expect(bert).toBeGreaterThan(Date.now() - 60_000);
    expect(await since([])).toEqual([]);
  });

  test('a clock that lags brings nothing back', async () => {
    const { revoke, since } = createRevocations(redis);
    const ahead = Date.now() + 50_000;
    await redis.command('SET', redis.keys.revoked('emil'), ahead);
    await revoke('emil');
    expect(await since(['emil'])).toEqual([ahead]);
  });

  test('it is kept for longer than a year, and announced on the channel of the inbox', async () => {
    const { revoke, since } = createRevocations(redis);
    const subscriber = await redis.subscriber();
    const heard: string[] = [];
    subscriber.onMessage((channel, message) => heard.push(`${channel} ${message}`));
    await subscriber.subscribe(redis.keys.inboxChannel('fritz'));
    await revoke('fritz');
    await waitFor(() => heard.length === 1, { what: 'the announcement' });
    expect(heard).toEqual([`${redis.keys.inboxChannel('fritz')} revoked|${(await since(['fritz']))[0]}`]);
    expect(await redis.command<number>('PTTL', redis.keys.revoked('fritz'))).toBeGreaterThan(366 * 24 * 3600 * 1000);
    await subscriber.close();
  });
});
