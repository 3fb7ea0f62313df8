import { checkAudit } from '../checks/audit.ts';
import type { Finding } from '../checks/finding.ts';
import { checkQueue } from '../checks/queue.ts';
import { checkNode, checkSqlite } from '../checks/runtime.ts';
import { checkStore } from '../checks/store.ts';
import { defineCommand } from '../command.ts';
import { openCatalogue } from '../compose.ts';
import { exitCodes } from '../exit.ts';
import { print } from '../io.ts';
import type { Io } from '../io.ts';
import { outputOption, printJson } from '../output/format.ts';
import { safe } from '../output/safe.ts';
import { paint } from '../output/style.ts';
import { queueSettings } from '../settings.ts';
import type { Settings } from '../settings.ts';
import type { Registry } from '../../machines/registry.ts';

export type DoctorOptions = { readonly output: 'text' | 'json' };

export const doctorCommand = defineCommand<DoctorOptions>({
  name: 'doctor',
  summary: 'Check what a worker needs: store, queue, audit. Exit 1 where something would lose or stall work.',
  settings: [...queueSettings, 'machines', 'auditUrl', 'auditCa', 'auditVerify'],
  options: (command) => command.addOption(outputOption(['text', 'json'])),
  examples: [
    'doctor',
    'doctor --queue amqp://guest:guest@localhost --audit-url http://localhost:8080/audit',
    'doctor -o json | jq .findings',
  ],
  async run({ io, settings }, options) {
    return report(io, await examine(settings, await openCatalogue(settings)), options);
  },
});

/** All checks; one that cannot be made is a finding, too. */
const examine = async (settings: Settings, registry: Registry): Promise<Finding[]> => [
  checkNode(process.versions.node),
  ...(await checkSqlite()),
  ...(await checkStore(settings, registry)),
  ...(await checkQueue(settings)),
  ...(await checkAudit(settings)),
];

/** Prints the findings. Returns the exit code. */
const report = (io: Io, findings: readonly Finding[], { output }: DoctorOptions): number => {
  const failed = findings.filter(({ level }) => level === 'fail').length;
  if (output === 'json') printJson(io, { ok: failed === 0, findings });
  else for (const finding of findings) printFinding(io, finding);
  return failed === 0 ? exitCodes.done : exitCodes.failed;
};

const style = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

const indent = 23;

const printFinding = (io: Io, { check, level, says, fix }: Finding): void => {
  const [first = '', ...others] = wrapped(io, safe(says));
  print(io, `${paint(io, style[level], level.padEnd(4))}  ${check.padEnd(indent - 8)}  ${first}`);
  for (const line of others) print(io, `${' '.repeat(indent)}${line}`);
  if (fix === undefined) return;
  for (const [index, line] of wrapped(io, safe(fix)).entries()) {
    print(io, `${' '.repeat(indent)}${paint(io, 'dim', `${index === 0 ? '→' : ' '} ${line}`)}`);
  }
};

/** On a terminal in lines that fit beside the name of the check; elsewhere in one, for grep. */
const wrapped = ({ out }: Io, text: string): string[] => {
  const room = Math.max(30, (out.columns ?? 80) - indent - 2);
  return out.isTTY
    ? (text.match(new RegExp(`.{1,${room}}(?= |$)|\\S+`, 'gu')) ?? ['']).map((line) => line.trim())
    : [text];
};
