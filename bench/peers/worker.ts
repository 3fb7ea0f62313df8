/** One peer at work: it takes what the parent submits, and says how far it is. A process of its own. */
import { answer } from '../child.ts';
import { openEffects } from '../effects.ts';
import type { EffectsOptions } from '../effects.ts';
import type { Peer, Site, Submission } from './peer.ts';

/** What the parent says to it. */
export type WorkerOptions = EffectsOptions & Pick<Site, 'serverUrl' | 'adminUrl' | 'folder' | 'schema'>;

const [name, options] = process.argv.slice(2) as [string, string];
const settings = JSON.parse(options) as WorkerOptions;
const { peer } = (await import(`./${name}.ts`)) as { peer: Peer };
const { close: closeEffects, ...effects } = await openEffects(settings);
const work = await peer.open({ ...settings, ...effects });

answer({
  submit: (submissions: Submission[]) => work.submit(submissions),
  start: () => work.start(),
  count: () => work.count(),
  stop: async () => {
    await work.close();
    await closeEffects();
  },
});
