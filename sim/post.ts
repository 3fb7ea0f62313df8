import type { RemoteCall } from '../src/engine/definition.ts';
import type { Queue, Submission } from '../src/queue/queue.ts';
import type { ProcessDisk } from './process-disk.ts';
import type { Process } from './process.ts';

export type DeadLetter = {
  readonly id: string | undefined;
  readonly body: string;
  readonly error: unknown;
};

/** What a worker's process has of the queue. */
export type Equipment = {
  readonly queue: Pick<Queue, 'name' | 'holdsByLease' | 'consume' | 'close'>;
  readonly sendAlert: RemoteCall;
  /** Where there are connections, they may be cut. */
  readonly cutConsumer?: () => void;
  readonly cutPublisher?: () => void;
};

/** The queue of a history: a broker, or tables in the store's file. */
export interface Post {
  equip(process: Process, disk: ProcessDisk): Equipment;
  /** As a person does it. */
  submit(submission: Submission): Promise<void>;
  /** Nothing is ready, and nothing in hand. */
  isIdle(): boolean;
  /** Whether anything is on a lap. */
  isWaiting(): boolean;
  /** Nothing else is left to wait for: the laps of all that wait may be over. */
  endLaps(): void;
  dead(): readonly DeadLetter[];
  /** A publisher has sent a message twice. */
  duplicate(): void;
  /** After each commit of a process. */
  look?(by: Process): void;
}
