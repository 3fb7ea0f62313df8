/** Holdfast as `holdfast worker` composes it, taking the same flags. A process of its own. */
import { Command } from 'commander';
import { openWorker } from '../src/cli/compose.ts';
import { openLog } from '../src/cli/log.ts';
import { readSettings, withSettings, workerSettings } from '../src/cli/settings.ts';
import { answer } from './child.ts';

const settings = readSettings(withSettings(new Command('holdfast'), workerSettings).parse());
const log = await openLog(settings, { err: process.stderr } as never);
const { worker, close } = await openWorker({ ...settings, auditUrl: settings.auditUrl! }, log);
await worker.start();

answer({ stop: close });
