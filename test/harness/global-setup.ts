import type { TestProject } from 'vitest/node';
import { startBroker } from '../../src/cli/broker/broker.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A RabbitMQ that all test files share: name your queues after your test, and never stop it. */
    amqpUrl: string;
  }
}

/** One broker for the whole run, or the one that HOLDFAST_TEST_AMQP_URL names. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env['HOLDFAST_TEST_AMQP_URL'];
  if (given) {
    project.provide('amqpUrl', given);
    return undefined;
  }
  const broker = await startBroker();
  project.provide('amqpUrl', broker.url);
  return () => broker.dispose();
}
