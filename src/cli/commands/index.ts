import { submit } from './submit.ts';
import { worker } from './worker.ts';

/** In the order in which `--help` lists them. */
export const commands = [submit, worker];
