import { randomUUID } from 'node:crypto';
import { CarillonError } from '@carillon/contracts';
import { createDirectory, type DeviceAddress } from '@carillon/directory';
import { memoryVault } from '@carillon/vault/testing';
import { expect, test } from '@jest/globals';
import { code, describeEverywhere, fcm, newUser, recipient, register, stand, vault, web } from './setting.js';

describeEverywhere((at) => {
  /** What a user holds of devices in Redis, whoever owns them. */
  const held = async (userId: string) =>
    (await at.redis.command<string[]>('HKEYS', at.redis.keys.person(userId))).filter((field) => field.startsWith('device:'));

  const ownerOf = (device: ReturnType<typeof fcm>) =>
    at.redis.keys.deviceOwner(vault.hash('device-owner', 'fcm', JSON.stringify(device.fcm)).toString('base64url'));

  test('a device is listed without its token, and registering again is the same device', async () => {
    const user = newUser();
    const before = Date.now();
    const first = await at.directory.addDevice(user, { fcm: { token: 'T-1' }, platform: 'ios' });
    expect(first).toEqual({ id: expect.stringMatching(/^[\w-]{1,22}$/), kind: 'fcm', platform: 'ios', registeredAt: expect.any(Number) });
    expect(Math.abs(first.registeredAt - before)).toBeLessThan(10_000);
    const again = await at.directory.addDevice(user, { fcm: { token: 'T-1' }, platform: 'android' });
    expect(again.id).toBe(first.id);
    const browser = await at.directory.addDevice(user, web());
    expect(browser).toMatchObject({ kind: 'web', platform: 'web' });
    expect(await at.directory.devices(user)).toEqual([browser, again]);
  });

  test('addresses carry what a provider needs', async () => {
    const user = newUser();
    const subscription = web();
    expect(JSON.parse((await register(at, user, fcm('abc'))).value)).toEqual({ token: 'abc' });
    expect(JSON.parse((await register(at, user, { fcm: { fid: 'f-1' } })).value)).toEqual({ fid: 'f-1' });
    expect(JSON.parse((await register(at, user, subscription)).value)).toEqual(subscription.web);
  });

  test('a subscription with new keys replaces the old one', async () => {
    const user = newUser();
    const endpoint = `https://push.example/${randomUUID()}`;
    const old = await register(at, user, web(endpoint, 1));
    const renewed = await register(at, user, web(endpoint, 2));
    expect(renewed.id).toBe(old.id);
    expect(await stand(at, user, old)).toBe('address_changed');
    expect(await stand(at, user, renewed)).toBeUndefined();
    expect(await at.directory.pruneDevice(user, old)).toBe(false);
    expect(await stand(at, user, renewed)).toBeUndefined();
  });

  test('what is no registration is refused', async () => {
    await expect(at.directory.addDevice(newUser(), {})).rejects.toEqual(code('FIELD_INVALID'));
    await expect(at.directory.addDevice(newUser(), web('https://127.0.0.1/a'))).rejects.toEqual(code('FIELD_INVALID'));
    const lenient = createDirectory({ redis: at.redis, vault, allowEndpoint: ({ hostname }) => hostname === '127.0.0.1' });
    expect(await lenient.addDevice(newUser(), web('http://127.0.0.1:9/a'))).toMatchObject({ kind: 'web' });
  });

  test('a token moves to whoever registers it', async () => {
    const [ann, bo] = [newUser(), newUser()];
    const device = fcm();
    const anns = await register(at, ann, device);
    const bos = await register(at, bo, device);
    expect(bos.id).not.toBe(anns.id);
    expect([await held(ann), (await held(bo)).length]).toEqual([[], 1]);
    expect(await stand(at, ann, anns)).toBe('address_changed');
    expect(await stand(at, bo, bos)).toBeUndefined();
    expect(await at.directory.pruneDevice(ann, anns)).toBe(false);
    expect(await stand(at, bo, bos)).toBeUndefined();
    await register(at, ann, device);
    expect([(await held(ann)).length, await held(bo)]).toEqual([1, []]);
  });

  test('however many register one token at once, again and again, it ends with one owner who has it', async () => {
    const users = Array.from({ length: 8 }, newUser);
    for (let round = 0; round < 15; round++) {
      const device = fcm();
      const turns = Array.from({ length: 40 }, () => users[Math.floor(Math.random() * users.length)] as string);
      await Promise.all(turns.map((user) => at.directory.addDevice(user, device)));
      const everything = await Promise.all(users.map(async (user) => ({ user, devices: (await recipient(at, user)).devices })));
      const holders = everything.filter(({ devices }) => devices.length > 0);
      expect(holders.length).toBe(1);
      const { user, devices } = holders[0] as (typeof holders)[0];
      expect(await stand(at, user, devices[0] as DeviceAddress)).toBeUndefined();
      expect((await at.directory.devices(user)).map(({ id }) => id)).toEqual(devices.map(({ id }) => id));
      await at.directory.removeDevice(user, devices[0]?.id as string);
    }
  });

  test('registering and removing at once leaves a device that stands, or none', async () => {
    const users = Array.from({ length: 3 }, newUser);
    const device = fcm();
    const ids = new Map<string, string>();
    for (const user of users) ids.set(user, (await at.directory.addDevice(user, device)).id);
    for (let round = 0; round < 30; round++) {
      await Promise.all(
        users.flatMap((user) => [
          at.directory.addDevice(user, device),
          at.directory.removeDevice(user, ids.get(user) as string).catch((error) => expect(error).toEqual(code('DEVICE_NOT_FOUND'))),
        ]),
      );
      const found = (await Promise.all(users.map(async (user) => (await recipient(at, user)).devices.map((to) => ({ user, to }))))).flat();
      expect(found.length).toBeLessThanOrEqual(1);
      for (const { user, to } of found) expect(await stand(at, user, to)).toBeUndefined();
    }
  });

  test('a registration that broke off half way leaves one owner, and is completed by registering again', async () => {
    const [ann, bo] = [newUser(), newUser()];
    const device = fcm();
    const anns = await register(at, ann, device);
    // Bo's process loses Redis just before it drops Ann's device.
    let calls = 0;
    const run: typeof at.redis.run = (...args) => {
      if (++calls > 3) throw new CarillonError('REDIS_UNAVAILABLE');
      return at.redis.run(...args);
    };
    const failing = createDirectory({ redis: { ...at.redis, run }, vault });
    await expect(failing.addDevice(bo, device)).rejects.toEqual(code('REDIS_UNAVAILABLE'));
    const [bos] = (await recipient(at, bo)).devices as [DeviceAddress];
    expect([await held(ann)].flat()).toEqual([`device:${anns.id}`]);
    expect([await stand(at, ann, anns), await stand(at, bo, bos)]).toEqual(['address_changed', undefined]);
    expect([(await at.directory.devices(ann)).length, (await at.directory.devices(bo)).length]).toEqual([0, 1]);
    await at.directory.addDevice(bo, device);
    expect([await held(ann), (await held(bo)).length]).toEqual([[], 1]);
  });

  test('a dead device is removed once, and one registered since is not', async () => {
    const user = newUser();
    const device = fcm();
    const dead = await register(at, user, device);
    expect(await at.directory.pruneDevice(user, dead)).toBe(true);
    expect(await at.directory.pruneDevice(user, dead)).toBe(false);
    expect(await held(user)).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 2));
    const anew = await register(at, user, device);
    expect(anew.id).toBe(dead.id);
    expect(await at.directory.pruneDevice(user, dead)).toBe(false);
    expect(await stand(at, user, anew)).toBeUndefined();
    const { registeredAt: _, ...plain } = anew;
    expect(await at.directory.pruneDevice(user, { ...plain, value: '{"token":"other"}' })).toBe(false);
    expect(await at.directory.pruneDevice(user, { kind: 'fcm', value: anew.value })).toBe(false);
    expect(await at.directory.pruneDevice(user, plain)).toBe(true);
  });

  test('a device that is removed is gone, and its token free', async () => {
    const user = newUser();
    const device = fcm();
    const to = await register(at, user, device);
    await at.directory.removeDevice(user, to.id as string);
    await expect(at.directory.removeDevice(user, to.id as string)).rejects.toEqual(code('DEVICE_NOT_FOUND'));
    expect(await stand(at, user, to)).toBe('address_changed');
    const other = newUser();
    expect(await stand(at, other, await register(at, other, device))).toBeUndefined();
  });

  test('who had a token before is not remembered once it has moved', async () => {
    const [ann, bo] = [newUser(), newUser()];
    const device = fcm();
    await at.directory.addDevice(ann, device);
    await at.directory.addDevice(bo, device);
    const owner = ownerOf(device);
    expect(await at.redis.command<string[]>('HGETALL', owner)).toEqual(expect.arrayContaining([bo]));
    expect(await at.redis.command<string[]>('HGETALL', owner)).not.toEqual(expect.arrayContaining([ann]));
    expect(await at.redis.command<number>('PTTL', owner)).toBe(-1);
  });

  test('a token that nobody came to own is forgotten in time', async () => {
    const device = fcm();
    let calls = 0;
    const run: typeof at.redis.run = (...args) => {
      if (++calls > 1) throw new CarillonError('REDIS_UNAVAILABLE');
      return at.redis.run(...args);
    };
    const failing = createDirectory({ redis: { ...at.redis, run }, vault });
    await expect(failing.addDevice(newUser(), device)).rejects.toEqual(code('REDIS_UNAVAILABLE'));
    expect(await at.redis.command<number>('PTTL', ownerOf(device))).toBeGreaterThan(0);
    await at.directory.addDevice(newUser(), device);
    expect(await at.redis.command<number>('PTTL', ownerOf(device))).toBe(-1);
  });

  test('a user who is forgotten while a device is registered does not stay its owner', async () => {
    const user = newUser();
    const device = fcm();
    let calls = 0;
    const run: typeof at.redis.run = async (...args) => {
      if (++calls === 3) await at.directory.forget(user);
      return at.redis.run(...args);
    };
    await createDirectory({ redis: { ...at.redis, run }, vault }).addDevice(user, device);
    expect(await at.redis.command<number>('EXISTS', ownerOf(device))).toBe(0);
  });

  test('a user who is forgotten leaves nothing under the tokens of their devices, whether or not anybody can open them', async () => {
    const strangers = await memoryVault();
    for (const vaultThen of [vault, strangers]) {
      const [user, device, browser] = [newUser(), fcm(), web()];
      await at.directory.addDevice(user, device);
      await at.directory.addDevice(user, browser);
      expect(await at.redis.command<string>('HGET', ownerOf(device), 'owner')).toBe(user);
      const directory = createDirectory({ redis: at.redis, vault: vaultThen });
      expect(await directory.forget(user)).toBe(true);
      expect(await directory.forget(user)).toBe(false);
      for (const one of [ownerOf(device), at.redis.keys.person(user)]) expect(await at.redis.command<number>('EXISTS', one)).toBe(0);
      expect(await stand(at, user, await register(at, newUser(), device))).toBe('address_changed');
    }
  });

  test('a user whose removal broke off is removed whole when it is repeated', async () => {
    const [user, device] = [newUser(), fcm()];
    await at.directory.addDevice(user, device);
    const run: typeof at.redis.run = async (...args) => {
      if ((await at.redis.command<number>('EXISTS', at.redis.keys.person(user))) === 0) throw new CarillonError('REDIS_UNAVAILABLE');
      return at.redis.run(...args);
    };
    await createDirectory({ redis: { ...at.redis, run }, vault })
      .forget(user)
      .catch(() => undefined);
    await at.directory.forget(user);
    expect(await at.redis.command<number>('EXISTS', ownerOf(device))).toBe(0);
  });

  test('freeing the tokens of a user tells when it could not be done', async () => {
    const user = newUser();
    await at.directory.addDevice(user, fcm());
    const run: typeof at.redis.run = () => Promise.reject(new CarillonError('REDIS_UNAVAILABLE'));
    const failing = createDirectory({ redis: { ...at.redis, run }, vault });
    await expect(failing.forget(user)).rejects.toEqual(code('REDIS_UNAVAILABLE'));
  });

  test('of more than fifty devices the one registered longest ago leaves, and its token is free', async () => {
    const user = newUser();
    const tokens = Array.from({ length: 51 }, () => randomUUID());
    const first = await register(at, user, fcm(tokens[0]));
    const second = await register(at, user, fcm(tokens[1]));
    for (const token of tokens.slice(2, 50)) await at.directory.addDevice(user, fcm(token));
    await at.directory.addDevice(user, fcm(tokens[0]));
    const last = await register(at, user, fcm(tokens[50]));
    expect((await at.directory.devices(user)).length).toBe(50);
    expect([await stand(at, user, first), await stand(at, user, second), await stand(at, user, last)]).toEqual([
      undefined,
      'address_changed',
      undefined,
    ]);
    const other = newUser();
    expect(await stand(at, other, await register(at, other, fcm(tokens[1])))).toBeUndefined();
  });
});
