/** The matrix: every step of a machine, every moment in it, every fault. */
import type { Route } from '../../engine/routes.ts';

export const moments = {
  before: 'before the commit',
  inside: 'inside the commit',
  committed: 'after the commit, before the call',
  during: 'during the call',
  effect: 'after the effect, before its commit',
  ack: 'after the final commit, before the ack',
  draining: 'while draining',
} as const;
export type Moment = keyof typeof moments;

export const faults = {
  worker: 'worker killed',
  connection: 'connection cut',
  broker: 'broker killed',
  receiver: 'receiver killed',
} as const;
export type Fault = keyof typeof faults;

/** Where cells run, and what cannot happen there: a reason for each such fault. */
export type Venue = {
  readonly queue: 'embedded' | 'RabbitMQ';
  readonly impossible: Partial<Readonly<Record<Fault, string>>>;
};

export type Cell = {
  readonly venue: Venue;
  readonly route: Route;
  /** `sendAlert done → sendingAudit` */
  readonly step: string;
  readonly moment: Moment;
  readonly fault: Fault;
  /** Why this cannot happen. */
  readonly impossible: string | undefined;
};

export const cellsOf = (venue: Venue, routes: readonly Route[]): Cell[] =>
  routes.flatMap((route) =>
    (Object.keys(moments) as Moment[]).flatMap((moment) =>
      (Object.keys(faults) as Fault[]).map((fault) => ({
        venue,
        route,
        step: stepName(route),
        moment,
        fault,
        impossible: impossibleMoment(route, moment) ?? venue.impossible[fault],
      })),
    ),
  );

/** `embedded: sendAlert done → sendingAudit: inside the commit: worker killed` */
export const cellName = ({ venue, step, moment, fault }: Cell): string =>
  [venue.queue, step, moments[moment], faults[fault]].join(': ');

/** The person's step, in a process of its own. */
export const isCancel = ({ happenings }: Route): boolean => happenings.at(-1)?.type === 'cancel';

/** The row that tells the step from every other one. */
export const lastRow = ({ rows }: Route): Route['rows'][number] => rows.at(-1)!;

const stepName = (route: Route): string => {
  const { event, from, to } = lastRow(route);
  if (route.happenings.length === 0)
    return route.failing === undefined ? `start → ${to}` : `start, ${event} → ${to}`;
  return event === 'cancel' ? `cancel in ${from} → ${to}` : `${event} → ${to}`;
};

const impossibleMoment = (route: Route, moment: Moment): string | undefined => {
  const { to } = lastRow(route);
  switch (moment) {
    case 'before':
    case 'inside':
    case 'draining':
      return undefined;
    case 'committed':
      return route.isFinal ? `${to} is final: nothing follows` : undefined;
    case 'during':
    case 'effect':
      return route.calls.length === 0 ? `${to} asks for no call` : undefined;
    case 'ack':
      return route.isFinal ? undefined : `${to} is not final: nothing is acked`;
  }
};
