import { randomUUID } from 'node:crypto';
import { type Address, CATEGORIES_MAX, type ChannelName, preferencesSchema } from '@carillon/contracts';
import { createDirectory } from '@carillon/directory';
import { createKeyRing, openVault } from '@carillon/vault';
import { memoryKeyStore, memoryVault, testRing } from '@carillon/vault/testing';
import { describe, expect, test } from '@jest/globals';
import { code, describeEverywhere, fcm, newUser, recipient, register, stand, vault } from './setting.js';

describeEverywhere((at) => {
  describe('profiles', () => {
    test('a profile is replaced by one call and merged by another', async () => {
      const user = newUser();
      await expect(at.directory.profile(user)).rejects.toEqual(code('USER_NOT_FOUND'));
      expect(await at.directory.setProfile(user, { email: 'ann@example.com', name: 'Ann' })).toEqual({
        email: 'ann@example.com',
        name: 'Ann',
      });
      const merged = { email: 'ann@example.com', phone: '+15550100' };
      expect(await at.directory.patchProfile(user, { name: null, phone: '+15550100', email: undefined, locale: null })).toEqual(merged);
      expect(await at.directory.profile(user)).toEqual(merged);
      await at.directory.setProfile(user, { locale: 'de-AT' });
      expect(await at.directory.profile(user)).toEqual({ locale: 'de-AT' });
    });

    test('a change makes a user known', async () => {
      const user = newUser();
      await at.directory.patchProfile(user, {});
      expect(await at.directory.profile(user)).toEqual({});
      const other = newUser();
      await at.directory.patchProfile(other, { name: 'Bo' });
      expect(await at.directory.profile(other)).toEqual({ name: 'Bo' });
    });

    test('changes made at once are all kept', async () => {
      const user = newUser();
      const patches = [
        { email: 'a@example.com' },
        { phone: '+15550100' },
        { name: 'Ann' },
        { locale: 'de' },
        { timeZone: 'Europe/Vienna' },
      ];
      await Promise.all(patches.map((patch) => at.directory.patchProfile(user, patch)));
      expect(await at.directory.profile(user)).toEqual(Object.assign({}, ...patches));
    });
  });

  describe('what a restore brings back of somebody who was erased', () => {
    /** A user whose fields are as they were before the erasure; `back` if a new key may be made. */
    const restored = async (back: boolean) => {
      const own = await memoryVault();
      const directory = createDirectory({ redis: at.redis, vault: own });
      const [user, device] = [newUser(), fcm()];
      const to = await register({ ...at, directory }, user, device);
      await directory.setProfile(user, { email: 'old@example.com' });
      await directory.setPreferences(user, { mute: true });
      const { until } = await own.destroy(user);
      if (back) await own.release(own.nameOf(user), until);
      expect((await own.person(user, 'make')).isThere).toBe(back);
      const stands = async (address: Address, channel: ChannelName) => stand({ ...at, directory }, user, address, channel);
      return { directory, user, device, to, stands };
    };

    test.each([false, true])('counts as not there, whether they have come back (%s) or not', async (back) => {
      const { directory, user, to, stands } = await restored(back);
      await expect(directory.profile(user)).rejects.toEqual(code('USER_NOT_FOUND'));
      expect(await directory.preferences(user)).toEqual({});
      expect(await directory.devices(user)).toEqual([]);
      expect(await directory.recipients([user])).toEqual([{ ok: true, value: { profile: {}, preferences: {}, devices: [] } }]);
      expect(await stands(to, 'push')).toBe('address_changed');
      expect(await stands({ kind: 'email', value: 'old@example.com' }, 'email')).toBe('address_changed');
      expect(await directory.pruneDevice(user, to)).toBe(false);
    });

    test('is no hindrance: who has come back is reachable at once', async () => {
      const { directory, user, device, stands } = await restored(true);
      expect(await stands({ kind: 'user', value: user }, 'in_app')).toBeUndefined();
      expect(await directory.patchProfile(user, { email: 'new@example.com' })).toEqual({ email: 'new@example.com' });
      expect(await stands({ kind: 'email', value: 'new@example.com' }, 'email')).toBeUndefined();
      await directory.unsubscribe({ userId: user, channel: 'sms' });
      expect(await directory.preferences(user)).toEqual({ channels: { sms: false } });
      const again = await register({ ...at, directory }, user, device);
      expect(await stands(again, 'push')).toBeUndefined();
      expect((await directory.devices(user)).map(({ id }) => id)).toEqual([again.id]);
    });
  });

  describe('preferences', () => {
    test('wishes are kept as given', async () => {
      const user = newUser();
      expect(await at.directory.preferences(user)).toEqual({});
      const wishes = { mute: false, channels: { sms: false }, categories: { news: { email: false }, tips: true } };
      expect(await at.directory.setPreferences(user, wishes)).toEqual(wishes);
      expect(await at.directory.preferences(user)).toEqual(wishes);
      expect((await recipient(at, user)).preferences).toEqual(wishes);
    });

    test('who unsubscribes keeps all other wishes, however many do it at once and again', async () => {
      const user = newUser();
      await at.directory.setPreferences(user, { channels: { sms: false }, categories: { news: { push: false } } });
      const categories = ['news', ...Array.from({ length: 10 }, (_, i) => `c${i}`), '__proto__'];
      const again = [...categories, ...categories];
      await Promise.all(again.map((category) => at.directory.unsubscribe({ userId: user, channel: 'email', category })));
      await at.directory.unsubscribe({ userId: user, channel: 'push' });
      const kept = await at.directory.preferences(user);
      expect(kept.channels).toEqual({ sms: false, push: false });
      expect(Object.keys(kept.categories ?? {}).sort()).toEqual([...categories].sort());
      expect(kept.categories?.news).toEqual({ push: false, email: false });
    });

    test('a link leads to what it was made for, and reading it changes nothing', async () => {
      const about = { userId: newUser(), channel: 'email', category: 'news' } as const;
      expect(at.directory.readUnsubscribeToken(at.directory.unsubscribeToken(about))).toEqual(about);
      expect(await at.directory.preferences(about.userId)).toEqual({});
      expect(() => at.directory.readUnsubscribeToken('nonsense')).toThrow(code('LINK_INVALID'));
    });

    test('a link outlives the encryption key of its day', async () => {
      const [older, newer] = [testRing('old'), testRing('new')];
      const store = memoryKeyStore();
      const openWith = (ring: string) => openVault({ provider: createKeyRing(ring), store });
      const about = { userId: newUser(), channel: 'email', category: 'news' } as const;
      const token = createDirectory({ redis: at.redis, vault: await openWith(older) }).unsubscribeToken(about);
      // Before a key is dropped, what is kept is wrapped anew; links in mailboxes cannot be.
      await (await openWith(`${newer},${older}`)).sweep();
      const directory = createDirectory({ redis: at.redis, vault: await openWith(newer) });
      expect(directory.readUnsubscribeToken(token)).toEqual(about);
    });

    test('whoever unsubscribes from more categories than are kept turns the channel off, and may write back what they read', async () => {
      const user = newUser();
      const most = Object.fromEntries(Array.from({ length: CATEGORIES_MAX }, (_, i) => [`c${i}`, { email: false }]));
      await at.directory.setPreferences(user, { categories: most });
      await at.directory.unsubscribe({ userId: user, channel: 'email', category: 'one more' });
      await at.directory.unsubscribe({ userId: user, channel: 'push', category: 'c0' });
      const kept = await at.directory.preferences(user);
      expect(preferencesSchema.parse(kept)).toEqual(kept);
      expect(kept).toEqual({ channels: { email: false }, categories: { ...most, c0: { email: false, push: false } } });
    });
  });

  describe('recipients and standing', () => {
    test('many users are read in order, the unknown among them, and one whose record is broken fails alone', async () => {
      const [ann, bo, broken, locked] = [newUser(), newUser(), newUser(), newUser()];
      await at.directory.setProfile(ann, { email: 'ann@example.com' });
      const device = await register(at, bo);
      await at.redis.command('SET', at.redis.keys.person(broken), 'no hash');
      await at.directory.setProfile(locked, { name: 'L' });
      // Sealed for somebody else.
      const foreign = await at.redis.command<string>('HGET', at.redis.keys.person(ann), 'profile');
      await at.redis.command('HSET', at.redis.keys.person(locked), 'profile', foreign);
      const crowd = Array.from({ length: 60 }, newUser);
      const outcomes = await at.directory.recipients([ann, broken, ...crowd, locked, bo, ann]);
      const nobody = { profile: {}, preferences: {}, devices: [] };
      expect(outcomes[0]).toEqual({ ok: true, value: { profile: { email: 'ann@example.com' }, preferences: {}, devices: [] } });
      expect(outcomes[1]).toEqual({ ok: false, error: code('INTERNAL') });
      expect(outcomes.slice(2, 62)).toEqual(crowd.map(() => ({ ok: true, value: nobody })));
      expect(outcomes[62]).toEqual({ ok: false, error: code('SEAL_BROKEN') });
      expect(outcomes[63]).toEqual({ ok: true, value: { ...nobody, devices: [device] } });
      expect(outcomes[64]).toEqual(outcomes[0]);
      expect(await at.directory.recipients([])).toEqual([]);
    });

    test('a profile moved to where wishes are kept does not open', async () => {
      const user = newUser();
      await at.directory.setProfile(user, { name: 'Ann' });
      const sealed = await at.redis.command<string>('HGET', at.redis.keys.person(user), 'profile');
      await at.redis.command('HSET', at.redis.keys.person(user), 'preferences', sealed);
      await expect(at.directory.preferences(user)).rejects.toEqual(code('SEAL_BROKEN'));
    });

    test('many deliveries are judged in order, each by its own address', async () => {
      const [ann, bo, gone, broken] = [newUser(), newUser(), newUser(), newUser()];
      const [old, now] = [`${randomUUID()}@example.com`, `${randomUUID()}@example.com`];
      await at.directory.setProfile(ann, { email: now, phone: '+15550100' });
      await at.directory.setProfile(bo, { email: old });
      await at.directory.suppress('email', old, { reason: 'bounced', provider: 'smtp' });
      await at.redis.command('SET', at.redis.keys.person(broken), 'no hash');
      const outcomes = await at.directory.standing([
        { userId: ann, channel: 'email', to: { kind: 'email', value: now } },
        { userId: broken, channel: 'email', to: { kind: 'email', value: now } },
        { userId: ann, channel: 'email', to: { kind: 'email', value: 'before@example.com' } },
        { userId: ann, channel: 'email', to: { kind: 'email', value: 'before@example.com', inline: true } },
        { userId: bo, channel: 'email', to: { kind: 'email', value: old } },
        { userId: ann, channel: 'email', to: { kind: 'email', value: old, inline: true } },
        { userId: ann, channel: 'sms', to: { kind: 'phone', value: '+15550100' } },
        { userId: gone, channel: 'sms', to: { kind: 'phone', value: '+15550100' } },
        { userId: gone, channel: 'in_app', to: { kind: 'user', value: gone } },
        { userId: bo, channel: 'email', to: { kind: 'email', value: old } },
      ]);
      expect(outcomes.map((outcome) => (outcome.ok ? outcome.value : outcome.error.code))).toEqual([
        undefined,
        'INTERNAL',
        'address_changed',
        undefined,
        'suppressed',
        'suppressed',
        undefined,
        'address_changed',
        undefined,
        'suppressed',
      ]);
      expect(await at.directory.standing([])).toEqual([]);
    });

    test('whoever turned something off since is not written to, wherever the address came from, unless it is required', async () => {
      const [ann, bo, locked] = [newUser(), newUser(), newUser()];
      const email = `${randomUUID()}@example.com`;
      const device = await register(at, ann);
      for (const user of [ann, bo, locked]) await at.directory.setProfile(user, { email });
      const own = { userId: ann, channel: 'email', to: { kind: 'email', value: email } } as const;
      const inline = { ...own, to: { ...own.to, inline: true } } as const;
      const push = { userId: ann, channel: 'push', to: device, category: 'news' } as const;
      const reasons = async () => {
        const outcomes = await at.directory.standing([
          { ...own, category: 'news' },
          { ...inline, category: 'news' },
          { ...own, category: 'news', required: true },
          { ...own, category: 'tips' },
          own,
          push,
          { ...own, userId: bo, category: 'news' },
        ]);
        return outcomes.map((outcome) => (outcome.ok ? outcome.value : outcome.error.code));
      };
      const [none, no] = [undefined, 'preference'];
      expect(await reasons()).toEqual([none, none, none, none, none, none, none]);
      await at.directory.unsubscribe({ userId: ann, channel: 'email', category: 'news' });
      expect(await reasons()).toEqual([no, no, none, none, none, none, none]);
      await at.directory.unsubscribe({ userId: ann, channel: 'email' });
      expect(await reasons()).toEqual([no, no, none, no, no, none, none]);
      await at.directory.setPreferences(ann, { mute: true });
      expect(await reasons()).toEqual([no, no, none, no, no, no, none]);
      await at.directory.suppress('email', email, { reason: 'bounced', provider: 'smtp' });
      expect((await reasons())[2]).toBe('suppressed');

      // Wishes that cannot be read are no leave to send, but nothing to what is required.
      await at.redis.command('HSET', at.redis.keys.person(locked), 'preferences', 'not sealed');
      const unread = { ...inline, userId: locked, to: { ...inline.to, value: `${randomUUID()}@example.com` } };
      const [asked, required] = await at.directory.standing([unread, { ...unread, required: true }]);
      expect(asked).toEqual({ ok: false, error: code('SEAL_BROKEN') });
      expect(required).toEqual({ ok: true, value: undefined });
    });
  });

  describe('suppressions', () => {
    test('a stop holds however the address is written, and an earlier one stays', async () => {
      const user = newUser();
      const name = randomUUID();
      await at.directory.setProfile(user, { email: `Ann.${name}@Example.com` });
      await expect(at.directory.suppression(user, 'email')).rejects.toEqual(code('SUPPRESSION_NOT_FOUND'));
      await at.directory.suppress('email', ` ANN.${name}@example.COM `, { reason: 'complaint', provider: 'sendgrid' });
      await at.directory.suppress('email', `ann.${name}@example.com`, { reason: 'bounced', provider: 'smtp' });
      expect(await at.directory.suppression(user, 'email')).toEqual({
        channel: 'email',
        reason: 'complaint',
        provider: 'sendgrid',
        at: expect.any(Number),
      });
      expect(await stand(at, user, { kind: 'email', value: `Ann.${name}@Example.com` }, 'email')).toBe('suppressed');
      await at.directory.liftSuppression(user, 'email');
      await expect(at.directory.liftSuppression(user, 'email')).rejects.toEqual(code('SUPPRESSION_NOT_FOUND'));
      expect(await stand(at, user, { kind: 'email', value: `Ann.${name}@Example.com` }, 'email')).toBeUndefined();
    });

    test('a stop is for one channel, and can be taken back by address', async () => {
      const user = newUser();
      const phone = '+15550177';
      await at.directory.setProfile(user, { phone });
      await at.directory.suppress('sms', phone, { reason: 'unsubscribed', provider: 'twilio' });
      await expect(at.directory.suppression(user, 'email')).rejects.toEqual(code('SUPPRESSION_NOT_FOUND'));
      await expect(at.directory.suppression(user, 'in_app')).rejects.toEqual(code('SUPPRESSION_NOT_FOUND'));
      expect((await at.directory.suppression(user, 'sms')).reason).toBe('unsubscribed');
      expect([await at.directory.unsuppress('sms', phone), await at.directory.unsuppress('sms', phone)]).toEqual([true, false]);
      await expect(at.directory.suppression(user, 'sms')).rejects.toEqual(code('SUPPRESSION_NOT_FOUND'));
    });

    test('a stop on an address that came with a request is seen and lifted by that address', async () => {
      const user = newUser();
      const [own, given] = [`${randomUUID()}@example.com`, `${randomUUID()}@example.com`];
      await at.directory.setProfile(user, { email: own });
      await at.directory.suppress('email', given, { reason: 'complaint', provider: 'sendgrid' });
      await expect(at.directory.suppression(user, 'email')).rejects.toEqual(code('SUPPRESSION_NOT_FOUND'));
      await expect(at.directory.suppression(user, 'email', own)).rejects.toEqual(code('SUPPRESSION_NOT_FOUND'));
      expect(await at.directory.suppression(user, 'email', given.toUpperCase())).toMatchObject({ reason: 'complaint' });
      await expect(at.directory.liftSuppression(user, 'email')).rejects.toEqual(code('SUPPRESSION_NOT_FOUND'));
      await at.directory.liftSuppression(user, 'email', given);
      await expect(at.directory.liftSuppression(user, 'email', given)).rejects.toEqual(code('SUPPRESSION_NOT_FOUND'));
      expect(await stand(at, user, { kind: 'email', value: given, inline: true }, 'email')).toBeUndefined();
    });

    test('a stop on a device is found with its user', async () => {
      const user = newUser();
      await register(at, user);
      const to = await register(at, user);
      await at.directory.suppress('push', to.value, { reason: 'invalid', provider: 'fcm' });
      expect(await stand(at, user, to)).toBe('suppressed');
      expect((await at.directory.suppression(user, 'push')).reason).toBe('invalid');
      await at.directory.liftSuppression(user, 'push');
      expect(await stand(at, user, to)).toBeUndefined();
    });
  });

  test('two directories of one installation know each other’s devices and stops', async () => {
    const [user, other] = [newUser(), createDirectory({ redis: at.redis, vault })];
    const address = `${randomUUID()}@example.com`;
    await at.directory.setProfile(user, { email: address });
    await at.directory.suppress('email', address, { reason: 'bounced', provider: 'smtp' });
    const device = fcm();
    expect((await other.addDevice(user, device)).id).toBe((await at.directory.addDevice(user, device)).id);
    expect((await other.suppression(user, 'email')).reason).toBe('bounced');
  });
});
