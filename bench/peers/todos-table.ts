import type { Pool } from 'pg';
import type { Todo } from '../effects.ts';

/** A table of todos in PostgreSQL, beside a peer's own tables. */
export const openTodos = async (
  pool: Pool,
): Promise<{
  save: (todo: Todo) => Promise<void>;
  saveAll: (todos: readonly Todo[]) => Promise<void>;
  count: () => Promise<number>;
}> => {
  await pool.query(
    `CREATE TABLE todos (id text PRIMARY KEY, title text NOT NULL, notes text, created_at timestamptz NOT NULL)`,
  );
  const saveAll = async (todos: readonly Todo[]) => {
    const columns = (['id', 'title', 'notes', 'createdAt'] as const).map((name) =>
      todos.map((todo) => todo[name]),
    );
    await pool.query({ name: 'save', text: saveStatement, values: columns });
  };
  return {
    save: (todo) => saveAll([todo]),
    saveAll,
    count: () => countRows(pool, 'todos'),
  };
};

/** One round trip and one commit however many there are; a repetition changes nothing. */
const saveStatement = `
  INSERT INTO todos (id, title, notes, created_at)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
  ON CONFLICT (id) DO NOTHING`;

export const countRows = async (pool: Pool, table: string): Promise<number> => {
  const { rows } = await pool.query<{ count: string }>(`SELECT count(*) FROM ${table}`);
  return Number(rows[0]!.count);
};
