import type { Database } from '../src/sqlite/database.ts';
import type { Journal } from './journal.ts';

export type Effect = { readonly call: 'sendAlert' | 'sendAudit'; readonly run: string; readonly key: string };

/** What the world has seen, as its receivers noted it. */
export class Ledger {
  readonly effects: Effect[] = [];
  readonly #journal: Journal;
  readonly #db: Database;

  constructor(journal: Journal, db: Database) {
    this.#journal = journal;
    this.#db = db;
  }

  /** Its event names the run. */
  enterAlert(key: string, event: string): void {
    const { subject: run } = JSON.parse(event) as { subject: string };
    this.enter({ call: 'sendAlert', run, key });
  }

  enter(effect: Effect): void {
    const { call, run, key } = effect;
    this.#journal.note('world', `${call} of ${run} takes effect under ${key}`);
    if (!this.#db.get('SELECT 1 FROM todos WHERE id = :run', { run }))
      this.#journal.violate(`phantom: ${call} of ${run} took effect, and its todo is not saved`);
    const before = this.effects.find((other) => other.run === run && other.call === call);
    if (before && before.key !== key)
      this.#journal.violate(`second key: ${call} of ${run} took effect under ${before.key} and ${key}`);
    if (before) this.#journal.reached.add('repeated effect');
    this.effects.push(effect);
  }

  count(call: Effect['call'], run: string): number {
    return this.effects.filter((effect) => effect.call === call && effect.run === run).length;
  }
}
