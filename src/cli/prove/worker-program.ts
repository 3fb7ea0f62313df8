import { runCrashWorker } from './crash-worker.ts';

await runCrashWorker();
