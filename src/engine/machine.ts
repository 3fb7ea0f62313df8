import type { AnyStateMachine } from 'xstate';
import { problemsOf } from './check.ts';
import type { Definition, LocalCall, RemoteCall } from './definition.ts';
import { invokes, nodesOf } from './nodes.ts';

/** A definition that passed every check, with what the engine looks up on each step. */
export type Machine = {
  readonly id: string;
  readonly version: string;
  /** `create-todo@1` */
  readonly ref: string;
  readonly chart: AnyStateMachine;
  readonly input: Definition['input'];
  readonly tables: readonly string[];
  /** By XState's invoke id. */
  readonly calls: ReadonlyMap<string, DeclaredCall>;
  /** Timer id -> the name of its delay, for the history. */
  readonly delays: ReadonlyMap<string, string>;
  /** The states that a failed run can be put back to. */
  readonly steps: readonly string[];
  /** Changes whenever the chart's structure does; blind to the bodies of functions. */
  readonly structure: string;
};

type DeclaredCall = {
  readonly name: string;
  readonly local: LocalCall | undefined;
  readonly remote: RemoteCall | undefined;
};

export class MachineError extends Error {
  override readonly name = 'MachineError';
}

/** A step in which a chart moves on by itself more often than this is a loop, which would hold its worker for ever. */
const longestStep = 1000;

/**
 * Checks a definition for what XState lets through silently, and prepares it.
 * @throws MachineError that lists every problem with its state and its fix.
 */
export const toMachine = (definition: Definition): Machine => {
  const { machine: chart, input, local = {}, remote = {}, tables = [] } = definition;
  const problems = problemsOf(definition);
  const ref = `${chart.id}@${chart.version ?? '?'}`;
  if (problems.length > 0) throw new MachineError(`${ref} cannot be registered:\n  ${problems.join('\n  ')}`);
  if (!Number.isFinite(chart.options.maxIterations)) chart.options.maxIterations = longestStep;
  const nodes = nodesOf(chart.root);
  return {
    id: chart.id,
    version: chart.version!,
    ref,
    chart,
    input,
    tables,
    calls: new Map(
      nodes
        .flatMap(invokes)
        .map(({ id, name, src }) => [id, { name, local: local[src], remote: remote[src] }]),
    ),
    delays: new Map(
      nodes.flatMap((node) => node.after.map((after) => [after.eventType, String(after.delay)])),
    ),
    steps: Object.values(chart.states)
      .filter(({ type }) => type !== 'final')
      .map(({ key }) => key),
    structure: JSON.stringify(chart.config),
  };
};
