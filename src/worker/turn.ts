/**
 * One turn, up to its commit: what came in, stepped run by run. It changes nothing but itself, so that a
 * turn whose commit fails is simply taken again.
 */
import { difference } from '../engine/identity.ts';
import { advance, fail, start, startFailed } from '../engine/interpreter.ts';
import { messageOf } from '../engine/errors.ts';
import type { Machine } from '../engine/machine.ts';
import type { Clock, Incident, Run, Step } from '../engine/run.ts';
import { refOf } from '../engine/run.ts';
import type { Registry } from '../machines/registry.ts';
import type { Delivery } from '../queue/queue.ts';
import { waitsLong } from '../store/store.ts';
import type { Change, Claim, Resumed } from '../store/store.ts';
import type { Request } from './intake.ts';
import type { DeliveryMail, Draft, Mail } from './mail.ts';

/** How a delivery ends. */
export type Settlement =
  | { readonly how: 'ack' | 'later' }
  | { readonly how: 'deadLetter'; readonly error: string };

export type TurnContext = {
  readonly registry: Registry;
  readonly clock: Clock;
  /** A run that takes its worker down this often in a row is failed. */
  readonly maxResumes: number;
  /** The committed record of a run in this worker's hands. */
  held(id: string): { machine: Machine; run: Run } | undefined;
};

export class Turn {
  readonly drafts = new Map<string, Draft>();
  readonly settlements: { delivery: Delivery; settlement: Settlement }[] = [];
  readonly evicted: string[] = [];
  readonly #context: TurnContext;
  readonly #claims: ReadonlyMap<string, Claim>;

  constructor(context: TurnContext, claims: ReadonlyMap<string, Claim>) {
    this.#context = context;
    this.#claims = claims;
  }

  take(mail: Mail): void {
    switch (mail.type) {
      case 'delivery':
        return this.#deliver(mail);
      case 'incident':
        return this.#incident(mail.run, mail.incident);
      case 'resumed':
        return this.#resume(mail.resumed);
      case 'marker':
        return undefined;
      case 'evicted':
        this.evicted.push(mail.run);
        return undefined;
      case 'rejected':
        return this.#reject(mail.draft, mail.reason);
    }
  }

  /** What the store is to commit. */
  changes(): { draft: Draft; change: Change }[] {
    const now = this.#context.clock.now();
    return [...this.drafts.values()].flatMap((draft) => {
      const { step, base } = draft;
      if (!step) return [];
      return [{ draft, change: { ...step, expected: base?.seq ?? null, release: waitsLong(step.run, now) } }];
    });
  }

  #deliver(mail: DeliveryMail): void {
    const { id } = mail.request;
    const known = this.#draft(id);
    if (known) return this.#join(known, mail);
    const claim = this.#claims.get(id) ?? { type: 'unknown' };
    switch (claim.type) {
      case 'unknown':
        return this.#start(mail);
      case 'claimed':
        return this.#joinClaimed(claim, mail);
      case 'final':
        return this.#settleAgainst(claim.run, mail, 'ack');
      case 'busy':
        return this.#settleAgainst(claim, mail, 'later');
    }
  }

  #start(mail: DeliveryMail): void {
    const { id, machine, input, problem } = mail.request;
    if (problem !== undefined) return this.#settle(mail.delivery, { how: 'deadLetter', error: problem });
    try {
      const step = start(machine, id, input, this.#context.clock);
      this.drafts.set(id, { id, machine, base: null, input, step, deliveries: [mail], inDoubt: false });
    } catch (error) {
      this.#settle(mail.delivery, {
        how: 'deadLetter',
        error: `${machine.ref} cannot start: ${messageOf(error)}`,
      });
    }
    return undefined;
  }

  #joinClaimed(claim: Resumed, mail: DeliveryMail): void {
    this.#join(this.#takeUp(this.#context.registry.get(refOf(claim.run))!, claim), mail);
  }

  #join(draft: Draft, mail: DeliveryMail): void {
    const run = draft.step?.run ?? draft.base!;
    const conflict = conflictOf(run, mail.request);
    if (conflict) return this.#settle(mail.delivery, { how: 'deadLetter', error: conflict });
    draft.deliveries.push(mail);
    return undefined;
  }

  #settleAgainst(
    run: Pick<Run, 'fingerprint' | 'input'>,
    { delivery, request }: DeliveryMail,
    how: 'ack' | 'later',
  ): void {
    const conflict = conflictOf(run, request);
    this.#settle(delivery, conflict ? { how: 'deadLetter', error: conflict } : { how });
  }

  #settle(delivery: Delivery, settlement: Settlement): void {
    this.settlements.push({ delivery, settlement });
  }

  #incident(id: string, incident: Incident): void {
    const draft = this.#draft(id);
    if (draft) this.#advance(draft, (machine, run) => advance(machine, run, incident, this.#context.clock));
  }

  #resume(resumed: Resumed): void {
    const { id, seq } = resumed.run;
    const machine = this.#context.registry.get(refOf(resumed.run));
    // What the store says supersedes an older record in hand; a step of this very turn ends as a conflict.
    if (!machine || this.drafts.has(id) || this.#context.held(id)?.run.seq === seq) return;
    this.#takeUp(machine, resumed);
  }

  /** A run that nobody held: its message or the resume brings it here, whichever comes first. */
  #takeUp(machine: Machine, { run, resumes }: Resumed): Draft {
    const draft = this.#open(machine, run, true);
    if (resumes <= this.#context.maxResumes) return draft;
    const reason = `its worker died ${resumes - 1} times in a row while it ran`;
    this.#advance(draft, (_machine, current) => fail(current, reason, this.#context.clock));
    return draft;
  }

  #reject({ id, machine, base, input, deliveries }: Draft, reason: string): void {
    const { clock } = this.#context;
    const step = base ? fail(base, reason, clock) : startFailed(machine, id, input, reason, clock);
    const joined = this.drafts.get(id)?.deliveries ?? [];
    const draft: Draft = { id, machine, base, input, step, deliveries: [...deliveries], inDoubt: false };
    this.drafts.set(id, draft);
    // They began a run of their own in this turn, and their input may be another.
    for (const mail of joined) this.#join(draft, mail);
  }

  #advance(draft: Draft, advanceRun: (machine: Machine, run: Run) => Step | undefined): void {
    const run = draft.step?.run ?? draft.base!;
    const next = advanceRun(draft.machine, run);
    if (!next) return;
    draft.step = {
      run: next.run,
      transitions: [...(draft.step?.transitions ?? []), ...next.transitions],
      writes: [...(draft.step?.writes ?? []), ...next.writes],
    };
  }

  /** This turn's draft of a run, begun from the record in hand. */
  #draft(id: string): Draft | undefined {
    const held = this.drafts.has(id) ? undefined : this.#context.held(id);
    return held ? this.#open(held.machine, held.run, false) : this.drafts.get(id);
  }

  #open(machine: Machine, run: Run, inDoubt: boolean): Draft {
    const draft: Draft = {
      id: run.id,
      machine,
      base: run,
      input: undefined,
      step: undefined,
      deliveries: [],
      inDoubt,
    };
    this.drafts.set(run.id, draft);
    return draft;
  }
}

/** The same key with another input is another submission, and the run is not touched by it. */
const conflictOf = (
  run: Pick<Run, 'fingerprint' | 'input'>,
  { id, input, fingerprint }: Request,
): string | undefined =>
  run.fingerprint === fingerprint
    ? undefined
    : `conflict: the key "${id}" belongs to another submission: ${difference(JSON.parse(run.input), input) || 'to another machine'}`;
