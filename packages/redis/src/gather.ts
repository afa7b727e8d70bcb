import type { Script } from './script.js';

type Argument = string | number;
type Run<C, O> = (script: Script, shared: readonly Argument[], calls: readonly C[]) => Promise<O[]>;

interface Lane<C, O> {
  inFlight: number;
  waiting: { readonly calls: readonly C[]; readonly resolve: (outcomes: O[]) => void; readonly reject: (error: unknown) => void }[];
}

/** Batches of one script on their way at once; whoever comes meanwhile leaves together. */
const IN_FLIGHT = 1;

/**
 * Lets small batches of one script share calls: one that finds none on its way leaves at once, the others gather until it is back. Fifty jobs that
 * settle one record each then cost a few calls and not fifty. `enough` calls are sent as they are.
 */
export function gathered<C, O>(run: Run<C, O>, enough: number): Run<C, O> {
  const lanes = new Map<string, Lane<C, O>>();

  const send = async (lane: Lane<C, O>, name: string, script: Script, shared: readonly Argument[], calls: readonly C[]) => {
    lane.inFlight++;
    try {
      return await run(script, shared, calls);
    } finally {
      lane.inFlight--;
      if (lane.waiting.length > 0) flush(lane, name, script, shared);
      else if (lane.inFlight === 0) lanes.delete(name);
    }
  };
  const flush = async (lane: Lane<C, O>, name: string, script: Script, shared: readonly Argument[]) => {
    const leaving = lane.waiting;
    lane.waiting = [];
    const together = leaving.flatMap(({ calls }) => calls);
    try {
      const outcomes = await send(lane, name, script, shared, together);
      let at = 0;
      for (const { calls, resolve } of leaving) {
        resolve(outcomes.slice(at, at + calls.length));
        at += calls.length;
      }
    } catch (error) {
      for (const { reject } of leaving) reject(error);
    }
  };

  return (script, shared, calls) => {
    if (calls.length >= enough) return run(script, shared, calls);
    const name = `${script.sha} ${shared.join(' ')}`;
    const lane: Lane<C, O> = lanes.get(name) ?? { inFlight: 0, waiting: [] };
    lanes.set(name, lane);
    if (lane.inFlight < IN_FLIGHT) return send(lane, name, script, shared, calls);
    return new Promise((resolve, reject) => lane.waiting.push({ calls, resolve, reject }));
  };
}
