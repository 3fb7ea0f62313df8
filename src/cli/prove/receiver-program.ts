/** An audit receiver in a process of its own, which writes down each entry before it answers. */
import { once } from 'node:events';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { startAuditReceiver } from '../receiver.ts';
import type { Received } from '../receiver.ts';
import type { ReceiverPlan } from './receiver-child.ts';

process.once('disconnect', () => process.exit(1));
const [{ port, file, holds }] = (await once(process, 'message')) as [ReceiverPlan];
let isHolding = holds;

const onEntry = async ({ key, body }: Received): Promise<void> => {
  if (isHolding) {
    isHolding = false;
    const released = once(process, 'message');
    process.send!({ held: true });
    await released;
  }
  const written = openSync(file, 'a');
  writeSync(written, `${JSON.stringify({ key, run: (body as { todo: { id: string } }).todo.id })}\n`);
  fsyncSync(written);
  closeSync(written);
};

const { url } = await startAuditReceiver({ port, onEntry });
process.send!({ port: Number(url.port) });
