import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'sim/**/*.test.ts', 'bench/**/*.test.ts'],
    globalSetup: 'test/harness/global-setup.ts',
    // A process each, because a test may start brokers and workers that have to die with it.
    pool: 'forks',
    maxWorkers: Math.min(Math.max(availableParallelism(), 2), 4),
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ['default', './test/harness/count-reporter.ts'],
  },
});
