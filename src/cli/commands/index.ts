import type { Define } from '../command.ts';
import { alertsCommand } from './alerts.ts';
import { cancel } from './cancel.ts';
import { censusCommand } from './census.ts';
import { deadLettersCommand } from './dead-letters.ts';
import { demo } from './demo.ts';
import { dev } from './dev.ts';
import { diagramCommand } from './diagram.ts';
import { doctorCommand } from './doctor.ts';
import { inspectCommand } from './inspect.ts';
import { listCommand } from './list.ts';
import { proveCommand } from './prove.ts';
import { pruneCommand } from './prune.ts';
import { retry } from './retry.ts';
import { submit } from './submit.ts';
import { worker } from './worker.ts';

/** In the order in which `--help` lists them. */
export const commands: readonly Define[] = [
  submit,
  worker,
  listCommand,
  inspectCommand,
  censusCommand,
  retry,
  cancel,
  pruneCommand,
  alertsCommand,
  deadLettersCommand,
  diagramCommand,
  doctorCommand,
  dev,
  demo,
  proveCommand,
];
