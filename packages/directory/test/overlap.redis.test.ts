import { randomUUID } from 'node:crypto';
import { CarillonError } from '@carillon/contracts';
import { createDirectory, type DeviceAddress, type Directory, type Recipient } from '@carillon/directory';
import { createRedis, type Outcome, type Redis } from '@carillon/redis';
import { startRedis } from '@carillon/testkit';
import { memoryVault } from '@carillon/vault/testing';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

/*
 * Two processes that work on one token, in every order in which their steps can reach Redis.
 */

const vault = await memoryVault();

/** A process whose calls of Redis are let through one at a time. */
interface Actor {
  begin(action: (directory: Directory) => Promise<unknown>): Promise<void>;
  /** Lets one call through, and resolves when the next one waits or the action is over. */
  step(): Promise<void>;
  isDone(): boolean;
}

async function createActor(redis: Redis): Promise<Actor> {
  let done = true;
  let proceed: (() => void) | undefined;
  let settled = () => {};
  const settle = () => new Promise<void>((resolve) => (settled = resolve));
  const turn = async () => {
    if (done) return;
    const permission = new Promise<void>((resolve) => (proceed = resolve));
    settled();
    await permission;
  };
  const directory = createDirectory({
    redis: {
      ...redis,
      command: async (...args) => turn().then(() => redis.command(...args)),
      run: async (...args) => turn().then(() => redis.run(...args)),
    },
    vault,
  });
  return {
    async begin(action) {
      done = false;
      const waiting = settle();
      action(directory)
        .catch((error) => {
          if (!(error instanceof CarillonError && error.code === 'DEVICE_NOT_FOUND')) throw error;
        })
        .finally(() => {
          done = true;
          settled();
        });
      await waiting;
    },
    async step() {
      if (done) return;
      const waiting = settle();
      proceed?.();
      await waiting;
    },
    isDone: () => done,
  };
}

/** Every order of so many turns of the one and the other. */
function orders(ones: number, others: number): number[][] {
  if (ones === 0 && others === 0) return [[]];
  return [
    ...(ones > 0 ? orders(ones - 1, others).map((rest) => [0, ...rest]) : []),
    ...(others > 0 ? orders(ones, others - 1).map((rest) => [1, ...rest]) : []),
  ];
}

interface Scene {
  readonly ann: string;
  readonly bo: string;
  readonly device: (keys: number) => object;
  /** Ann's device, registered before anything else. */
  readonly before: DeviceAddress;
}
type Action = (scene: Scene) => (directory: Directory) => Promise<unknown>;

const registers =
  (who: 'ann' | 'bo', keys: number): Action =>
  (scene) =>
  (directory) =>
    directory.addDevice(scene[who], scene.device(keys));
const removes: Action =
  ({ ann, before }) =>
  (directory) =>
    directory.removeDevice(ann, before.id as string);
const prunes: Action =
  ({ ann, before }) =>
  (directory) => {
    const { registeredAt: _, ...plain } = before;
    return directory.pruneDevice(ann, plain);
  };

let server: Awaited<ReturnType<typeof startRedis>>;
let redis: Redis;
let directory: Directory;

beforeAll(async () => {
  server = await startRedis();
  redis = await createRedis({ url: server.url }, { prefix: 'overlap-test:', temper: 'prompt' });
  directory = createDirectory({ redis, vault });
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
});

const addresses = async (userId: string) => {
  const [outcome] = (await directory.recipients([userId])) as [Outcome<Recipient>];
  if (!outcome.ok) throw outcome.error;
  return outcome.value.devices.map((to) => ({ userId, channel: 'push' as const, to }));
};

async function newScene(): Promise<Scene> {
  const [ann, bo, endpoint] = [randomUUID(), randomUUID(), `https://push.example/${randomUUID()}`];
  const device = (keys: number) => ({
    web: {
      endpoint,
      keys: { p256dh: Buffer.alloc(65, 4).toString('base64url'), auth: Buffer.alloc(16, keys).toString('base64url') },
    },
  });
  await directory.addDevice(ann, device(0));
  const before = (await addresses(ann))[0]?.to as DeviceAddress;
  return { ann, bo, device, before };
}

/** Calls of Redis one action makes at most. */
const MOST_CALLS = 7;

test.each<[string, Action, Action, number | undefined]>([
  ['Ann and Bo register', registers('ann', 1), registers('bo', 2), 1],
  ['Ann registers on two nodes', registers('ann', 1), registers('ann', 2), 1],
  ['Bo registers on two nodes', registers('bo', 1), registers('bo', 2), 1],
  ['Ann registers and removes', registers('ann', 1), removes, undefined],
  ['Ann registers anew what is called dead', registers('ann', 1), prunes, 1],
  ['Ann registers the same while it is called dead', registers('ann', 0), prunes, undefined],
  ['Ann removes what Bo registers', registers('bo', 1), removes, 1],
  ['Bo registers what is called dead', registers('bo', 1), prunes, 1],
])('%s: whoever is left with the device owns it', async (_name, one, other, left) => {
  const actors = await Promise.all([createActor(redis), createActor(redis)]);
  // Beginnings that need no second look: both were done, or the last turn was of somebody who was, and what follows is another order as well.
  const idle = new Set<string>();
  for (const order of orders(MOST_CALLS, MOST_CALLS)) {
    if (order.some((_, i) => idle.has(order.slice(0, i + 1).join('')))) continue;
    const scene = await newScene();
    await actors[0]?.begin(one(scene));
    await actors[1]?.begin(other(scene));
    for (const [i, turn] of order.entries()) {
      if (actors[turn]?.isDone()) idle.add(order.slice(0, actors[1 - turn]?.isDone() ? i : i + 1).join(''));
      await actors[turn]?.step();
    }
    expect(actors.map((actor) => actor.isDone())).toEqual([true, true]);
    const found = (await Promise.all([addresses(scene.ann), addresses(scene.bo)])).flat();
    const standing = await directory.standing(found);
    expect([order, standing]).toEqual([order, found.map(() => ({ ok: true, value: undefined }))]);
    expect([order, left ?? found.length]).toEqual([order, found.length]);
    expect(found.length).toBeLessThanOrEqual(1);
  }
});
