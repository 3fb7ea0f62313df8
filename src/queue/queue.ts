/**
 * Where work comes from. The store holds the truth about a run; the message keeps it alive: whoever dies,
 * the queue hands the message to the next worker. Adapters: amqp/ and embedded/; queue.suite.ts judges both.
 */

/** The largest input of a run, in bytes. Checked before a message is published and before it is parsed. */
export const maxBodyBytes = 64 * 1024;

/** A message as it came: nothing about it is checked yet. */
export type Message = {
  /** The run's id, which is the submission's idempotency key (AMQP: `message_id`). */
  readonly id: string | undefined;
  /** `create-todo@1`, or `create-todo` for the newest version (AMQP: `type`, else the routing key). */
  readonly machine: string | undefined;
  readonly body: Buffer;
};

/** A message to publish. */
export type Submission = Message & { readonly id: string; readonly machine: string };

/**
 * A message in a worker's hands. It is settled once, by one of the three; a second settlement and one
 * after `onLost` do nothing, because the queue hands the message out again by itself.
 */
export interface Delivery {
  readonly message: Message;
  /** True when the queue handed this message out before: whoever held the message is gone. */
  readonly redelivered: boolean;
  /** The run is final: forget the message. May get lost; then the message comes again. */
  ack(): void;
  /** Comes back after the queue's lap (5 min by default), without an ack and without a loss. */
  later(): void;
  /** This can never become a run: kept byte for byte with its reason. Resolves when it is safe there. */
  deadLetter(error: string): Promise<void>;
}

export type ConsumerOptions = {
  /** How many deliveries may be in hand at once. */
  readonly prefetch: number;
  /** Names this worker to the queue; the embedded queue ties its deliveries to the worker's lease. */
  readonly worker: string;
  readonly onDelivery: (delivery: Delivery) => void;
  /** All deliveries in hand are void: the queue hands them out again. */
  readonly onLost: () => void;
};

export interface Consumer {
  /** No delivery comes after this resolves; those in hand can still be settled. Safe to call twice. */
  stop(): Promise<void>;
}

export type DeadLetter = {
  /** Names the dead letter; not the run's id, which it may lack. */
  readonly id: string;
  readonly at: number;
  readonly error: string;
  readonly message: Message;
};

/** What can never become a run, kept for an operator. */
export interface DeadLetters {
  /** Oldest first; takes nothing away. */
  list(limit: number): Promise<DeadLetter[]>;
  /** Publishes the message again as it was, then forgets the dead letter. False when there is none. */
  requeue(id: string): Promise<boolean>;
  /** Forgets the dead letter. False when there is none. */
  drop(id: string): Promise<boolean>;
}

/** `ready`: to be handed out now; `waiting`: on a lap (unless it waits in its consumer's hands); `dead`: dead letters. */
export type Depth = { readonly ready: number; readonly waiting: number; readonly dead: number };

export interface Queue {
  /** A name for people, without credentials: `amqp://localhost:5672/`. */
  readonly name: string;
  /**
   * True where the workers' leases in the store hold the messages as well. Then a redelivery says nothing that
   * the leases do not; elsewhere it says that whoever held the message is gone, and its run with it.
   */
  readonly holdsByLease: boolean;
  /**
   * Resolves when the message is safe in the queue.
   * @throws QueueError
   */
  publish(submission: Submission): Promise<void>;
  /** Starts at once, and goes on through every loss of the connection until `stop`. */
  consume(options: ConsumerOptions): Consumer;
  readonly deadLetters: DeadLetters;
  /** @throws QueueError */
  depth(): Promise<Depth>;
  /** Settlements are flushed first; what is not settled goes back to the queue. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * - `unavailable`: not accepted; nothing was published. It may work later.
 * - `refused`: not accepted, and the set-up is wrong (credentials, permissions, arguments): a person must act.
 * - `inDoubt`: sent but not confirmed. Publishing again under the same id is safe.
 */
export type QueueErrorKind = 'unavailable' | 'refused' | 'inDoubt';

/** Its message is one line, says what to do next, and never shows credentials. */
export class QueueError extends Error {
  override readonly name = 'QueueError';
  readonly kind: QueueErrorKind;

  constructor(kind: QueueErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}
