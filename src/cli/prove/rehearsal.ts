import { setTimeout as delay } from 'node:timers/promises';
import type { Route } from '../../engine/routes.ts';
import { isFinal } from '../../engine/run.ts';
import { CliError, exitCodes } from '../exit.ts';
import { openSite } from './site.ts';
import type { Site, World } from './site.ts';

/**
 * One run to which nothing is done. Where even that one does not come to its end, something that it needs is not there,
 * and every cell would call it a loss. @throws CliError that says why
 */
export const rehearse = async (world: World, routes: readonly Route[]): Promise<void> => {
  const end = endOf(routes);
  if (end === undefined) return; // it waits for what a proof does not bring
  const site = await openSite(world, false);
  try {
    const [id] = await site.submit(1);
    const worker = site.startWorker({ script: {} });
    const late = delay(world.patience, undefined, { ref: false });
    await Promise.race([site.untilFinal([id!]), worker.exited, late]);
    const story = await storyOf(site, id!);
    if (story.state === end) return;
    throw new CliError(
      exitCodes.unavailable,
      `nothing was proved: ${world.machine.ref} does not come to "${end}" even while nothing is broken: ${story.text}\n` +
        'see to what it needs (the services that it calls, their settings in the environment), then prove it again',
    );
  } finally {
    await site.close();
  }
};

/** Where the route ends on which nothing has happened yet, when all goes well. */
const endOf = (routes: readonly Route[]): string | undefined =>
  routes.find(({ happenings, failing }) => happenings.length === 0 && failing === undefined)?.end;

const storyOf = async ({ store }: Site, id: string): Promise<{ state?: string; text: string }> => {
  const run = await store.get(id);
  if (!run) return { text: 'no worker took it up' };
  const { state } = run;
  const error = run.reason ?? (await store.history(id)).findLast((row) => row.error !== null)?.error;
  const text = `its run is ${isFinal(run) ? '' : 'still '}${state}`;
  return { state, text: error === undefined ? text : `${text}: ${error}` };
};
