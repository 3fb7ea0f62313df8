/** A person's `cancel` in a process of its own, which stands still where the plan says. */
import { advance } from '../../engine/interpreter.ts';
import { openCatalogue, openStore } from '../compose.ts';
import { receivePlan, standStill } from './crash-worker.ts';
import { checkpoint, wrapStatements, wrapStore } from './points.ts';

const { settings, stopAt = [], cancel = [] } = await receivePlan();
const registry = await openCatalogue(settings);
const { db, store } = openStore(settings);
const { pass } = checkpoint(stopAt, standStill);
const inFlight: string[] = [];
wrapStatements(db, { pass, isDraining: () => false }, inFlight);
const archive = wrapStore(store, pass, inFlight);
const clock = { now: Date.now, random: Math.random };

for (const id of cancel) {
  for (let isDone = false; !isDone;) {
    const run = await archive.get(id);
    const machine = run && registry.get(`${run.machine}@${run.version}`);
    const step = machine && advance(machine, run, { type: 'cancelled' }, clock);
    isDone = !step || (await archive.amend({ ...step, expected: run.seq })).type === 'committed';
  }
}
db.close();
process.disconnect();
