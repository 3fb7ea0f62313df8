/**
 * A consumer of alerts that acts on each one once, whatever dies and however often an alert comes.
 *
 *   HOLDFAST_QUEUE=amqp://guest:guest@localhost HOLDFAST_STORE=holdfast.db node examples/receive-alerts.ts
 *
 * It writes what it was told into a file of its own, in one transaction with the mark that it did so. The store is
 * only read, to see the todo itself; a service would ask its own copy, or an API. In a project of yours, import from
 * 'holdfast' instead.
 */
import { once } from 'node:events';
import { connect } from 'amqplib';
import type { ConsumeMessage } from 'amqplib';
import Sqlite from 'better-sqlite3';
import { DedupeGuard, verifyAfterPublish } from '../src/index.ts';

const inbox = new Sqlite(process.env['INBOX'] ?? 'inbox.db');
inbox.pragma('journal_mode = WAL');
inbox.exec('CREATE TABLE IF NOT EXISTS notices (todo TEXT NOT NULL, title TEXT NOT NULL)');
const guard = new DedupeGuard(inbox);
const write = inbox.prepare('INSERT INTO notices (todo, title) VALUES (?, ?)');

const store = new Sqlite(process.env['HOLDFAST_STORE'] ?? 'holdfast.db', { readonly: true });
const todo = store.prepare('SELECT 1 FROM todos WHERE id = ?');

const connection = await connect(process.env['HOLDFAST_QUEUE'] ?? 'amqp://guest:guest@localhost');
const channel = await connection.createChannel();
await channel.prefetch(16);

const receive = async (message: ConsumeMessage): Promise<void> => {
  const { data } = JSON.parse(message.content.toString()) as { data: { id: string; title: string } };
  const seen = await verifyAfterPublish(() => todo.get(data.id) !== undefined);
  if (seen === 'missing') return channel.nack(message); // it comes again, and is looked at again
  const { type } = guard.once(String(message.properties.messageId), () => write.run(data.id, data.title));
  console.log(`${type} ${data.id}`);
  return channel.ack(message); // only now: the notice and its mark are on the disk
};

const queue = `${process.env['HOLDFAST_PREFIX'] ?? 'holdfast'}.alerts`;
const { consumerTag } = await channel.consume(queue, (message) => message && void receive(message));

await once(process, 'SIGTERM');
await channel.cancel(consumerTag);
await channel.close(); // what was not acked goes to the next one
await connection.close();
