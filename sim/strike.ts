import type { Crew } from './crew.ts';
import { idOf } from './people.ts';
import type { People } from './people.ts';
import type { Trouble } from './scenario.ts';
import type { World } from './world.ts';

/** Whom a trouble may strike. */
export type Stage = {
  readonly world: World;
  readonly crew: Crew;
  readonly people: People;
  /** What has begun ends in `ms`; the history is not over before. */
  readonly last: (ms: number, end: () => void) => void;
};

export const strike = (trouble: Trouble, stage: Stage): void => {
  if ('worker' in trouble) return strikeWorker(trouble, stage);
  if ('key' in trouble) return strikeRun(trouble, stage);
  return strikeWorld(trouble, stage);
};

const strikeWorker = (trouble: Extract<Trouble, { worker: number }>, { crew }: Stage): void => {
  const { type, worker } = trouble;
  switch (type) {
    case 'killed':
      return crew.kill(worker, trouble.for);
    case 'drained':
      return crew.drain(worker, trouble.for);
    case 'paused':
      return crew.pause(worker, trouble.for);
    case 'consumerCut':
      return crew.at(worker)?.equipment.cutConsumer?.();
    case 'publisherCut':
      return crew.at(worker)?.equipment.cutPublisher?.();
    case 'diesBeforeCommit':
    case 'diesAfterCommit': {
      const member = crew.at(worker);
      if (!member || member.store.diesAt) return undefined;
      member.store.diesAt = type === 'diesBeforeCommit' ? 'before' : 'after';
      return crew.replace(worker, trouble.for);
    }
    case 'diesBeforeWrite':
    case 'diesAfterWrite': {
      const member = crew.at(worker);
      if (!member) return undefined;
      member.disk.diesAt = type === 'diesBeforeWrite' ? 'before' : 'after';
      return crew.replace(worker, trouble.for);
    }
  }
};

const strikeRun = (trouble: Extract<Trouble, { key: number }>, { world, people }: Stage): void => {
  switch (trouble.type) {
    case 'poisonous':
      return world.receiver.poison(idOf(trouble.key), trouble.times);
    case 'cancel':
      return void people.cancel(trouble.key);
    case 'retry':
      return void people.retry(trouble.key);
  }
};

const strikeWorld = (
  trouble: Exclude<Trouble, { worker: number } | { key: number }>,
  { world, crew, people, last }: Stage,
): void => {
  const { broker, clock, disk, receiver, journal, post, tables } = world;
  switch (trouble.type) {
    case 'brokerKilled':
      broker.crash();
      return last(trouble.for, () => broker.start());
    case 'diskFull':
      journal.note('disk', 'is full');
      disk.isFull = true;
      return last(trouble.for, () => (disk.isFull = false));
    case 'diskLocked':
      journal.note('disk', 'is locked');
      disk.isLocked = true;
      return last(trouble.for, () => (disk.isLocked = false));
    case 'alertsUnbound':
      journal.note('broker', 'nobody is bound to the alerts');
      broker.alertsBound = false;
      return last(trouble.for, () => (broker.alertsBound = true));
    case 'receiverAway':
      journal.note('audit', 'is away');
      receiver.isAway = true;
      return last(trouble.for, () => (receiver.isAway = false));
    case 'clockSetBack':
      journal.note('clock', `is set back by ${trouble.by} ms`, 'clock set back');
      return clock.setBack(trouble.by);
    case 'consumerCancelled':
      return broker.cancelConsumer();
    case 'ackTimeout':
      return broker.timeOut();
    case 'duplicated':
      return post.duplicate();
    case 'shuffled':
      return broker.shuffle();
    case 'holderStopped':
      return tables?.whenHeld((name) => crew.pauseNamed(name, trouble.for));
    case 'requeued':
      return void people.requeue();
  }
};
