/** The floor: the least that any worker has to do, with no store at all. A process of its own. */
import { bareOptions, startBareWorker } from './bare.ts';

await startBareWorker(bareOptions(process.argv.slice(2)));
