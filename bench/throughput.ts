import { arrived } from './bench.ts';
import type { Bench, Result } from './bench.ts';
import type { Usage } from './child.ts';
import type { Arrivals } from './receiver.ts';
import { spread } from './stats.ts';
import type { Spread } from './stats.ts';
import { fill, openSubject, subjectNames, subjects } from './subject.ts';
import type { SubjectName } from './subject.ts';
import { columns, decimals, whole } from './table.ts';

type Round = { perSecond: number; cpuMs: number; memory: number; handedBack: number };
type Rounds = Record<SubjectName, Round[]>;

export type ThroughputOptions = { readonly todos: number };

/**
 * Todos a second with the queue never empty. The queue is filled before the worker starts, so that nobody else
 * needs the CPU, and the clock runs from the audit entry that ends the warm-up to the last one.
 */
export const throughput = async (bench: Bench, { todos }: ThroughputOptions): Promise<Result> => {
  const rounds: Rounds = { floor: [], holdfast: [], embedded: [] };
  for (let round = 1; round <= bench.rounds; round++) {
    // There and back again: whatever drifts on the machine does not favour the same one each time.
    for (const name of round % 2 === 1 ? subjectNames : subjectNames.toReversed()) {
      const result = await measure(name, bench, todos);
      rounds[name].push(result);
      const lap = result.handedBack > 0 ? `, ${result.handedBack} messages handed back for a lap` : '';
      bench.progress(
        `throughput, round ${round} of ${bench.rounds}: ${subjects[name]} ${whole(result.perSecond)}/s${lap}`,
      );
    }
  }
  const figures = figuresOf(rounds);
  return { figures, lines: linesOf(figures) };
};

const measure = async (name: SubjectName, bench: Bench, todos: number): Promise<Round> => {
  const { receiver, warmup } = bench;
  const subject = openSubject(name, bench);
  try {
    await fill(subject, warmup + todos);
    const worker = await subject.start();
    await arrived(receiver, warmup);
    const before = await worker.ask<Usage>('usage');
    await arrived(receiver, warmup + todos);
    const after = await worker.ask<Usage>('usage');
    await worker.stop();
    const handedBack = await subject.prove(warmup + todos);
    const { times } = await receiver.ask<Arrivals>('take');
    const seconds = (times.at(-1)! - times[warmup - 1]!) / 1000;
    return {
      perSecond: todos / seconds,
      cpuMs: (after.cpu - before.cpu) / todos,
      memory: after.memory,
      handedBack,
    };
  } finally {
    await subject.close();
  }
};

type Figures = {
  /** The median over the rounds, each against the floor of its own round. */
  ratioToFloor: number;
  subjects: Record<
    SubjectName,
    {
      perSecond: Spread;
      ratioToFloor: Spread;
      cpuMsPerTodo: Spread;
      peakMemoryMiB: Spread;
      handedBack: Spread;
    }
  >;
};

const figuresOf = (rounds: Rounds): Figures => {
  const of = (name: SubjectName) => ({
    perSecond: spread(rounds[name].map(({ perSecond }) => perSecond)),
    ratioToFloor: spread(
      rounds[name].map(({ perSecond }, round) => perSecond / rounds.floor[round]!.perSecond),
    ),
    cpuMsPerTodo: spread(rounds[name].map(({ cpuMs }) => cpuMs)),
    peakMemoryMiB: spread(rounds[name].map(({ memory }) => memory / 2 ** 20)),
    handedBack: spread(rounds[name].map(({ handedBack }) => handedBack)),
  });
  const all = { floor: of('floor'), holdfast: of('holdfast'), embedded: of('embedded') };
  return { ratioToFloor: all.holdfast.ratioToFloor.median, subjects: all };
};

const linesOf = (figures: Figures): string[] =>
  columns(
    ['Throughput', 'todos/s', 'min', 'max', 'of the floor', 'min', 'max', 'CPU ms a todo', 'peak MiB'],
    subjectNames.map((name) => {
      const { perSecond, ratioToFloor, cpuMsPerTodo, peakMemoryMiB } = figures.subjects[name];
      const rates = [perSecond.median, perSecond.min, perSecond.max].map(whole);
      const ratios = [ratioToFloor.median, ratioToFloor.min, ratioToFloor.max].map(decimals(2));
      return [
        subjects[name],
        ...rates,
        ...ratios,
        decimals(3)(cpuMsPerTodo.median),
        whole(peakMemoryMiB.max),
      ];
    }),
  );
