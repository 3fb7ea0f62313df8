import { SqliteError } from 'better-sqlite3';

/**
 * - `unavailable`: it may work later (disk full, an I/O error, locked by another process for too long).
 * - `unusable`: a person must act (unreadable, not SQLite, another program's, from a newer Holdfast).
 * - `gone`: the path names another file than the one that is open, or none. This process cannot go on with it.
 */
export type DatabaseErrorKind = 'unavailable' | 'unusable' | 'gone';

/** Its message is one line that names the file and says what to do next. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
  readonly kind: DatabaseErrorKind;

  constructor(kind: DatabaseErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

export const gone = (path: string): DatabaseError =>
  new DatabaseError(
    'gone',
    `the store ${path} was deleted or replaced while it was in use: nothing was accepted since; put it back or begin anew, then start again`,
  );

export const isGone = (error: unknown): boolean => error instanceof DatabaseError && error.kind === 'gone';

const known: [code: RegExp, kind: DatabaseErrorKind, says: string][] = [
  [/^SQLITE_FULL/, 'unavailable', 'the disk is full: make room; nothing that was accepted is lost'],
  [/^SQLITE_(BUSY|LOCKED)/, 'unavailable', 'another process keeps it locked: try again'],
  [
    /^SQLITE_IOERR/,
    'unavailable',
    'the disk reports an I/O error: check the disk, and that it may be written to',
  ],
  [/^SQLITE_CANTOPEN/, 'unusable', 'it cannot be opened: check that its folder exists and may be written to'],
  [
    /^SQLITE_(READONLY|PERM|AUTH)/,
    'unusable',
    'it may not be written to: check its permissions and its folder’s',
  ],
  [/^SQLITE_NOTADB/, 'unusable', 'it is not a SQLite file: name another one with --store'],
  [/^SQLITE_CORRUPT/, 'unusable', 'it is damaged: restore it from a backup'],
];

/** True for what concerns the whole file, as opposed to one statement. */
export const concernsFile = (error: unknown): boolean =>
  error instanceof SqliteError && known.some(([code]) => code.test(error.code));

/** Turns what SQLite says of the file into a DatabaseError; every other error stays as it is. */
export const explain = (path: string, error: unknown): unknown => {
  const code = error instanceof SqliteError ? error.code : '';
  const match = known.find(([pattern]) => pattern.test(code));
  return match
    ? new DatabaseError(match[1], `the store ${path}: ${match[2]} (${code})`, { cause: error })
    : error;
};
