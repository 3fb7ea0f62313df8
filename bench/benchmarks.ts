import type { Benchmark } from './bench.ts';
import { cpuBench } from './cpu.ts';
import { growthBench } from './growth.ts';
import { latencyBench } from './latency.ts';
import { outageBench } from './outage.ts';
import { peersBench } from './peers/peers.ts';
import { resumeBench } from './resume.ts';
import { slowDiskBench } from './slow-disk.ts';
import { takeoverBench } from './takeover.ts';
import { throughputBench } from './throughput.ts';
import { waitingBench } from './waiting.ts';

/** In the order in which `--help` lists them. */
export const benchmarks: readonly Benchmark[] = [
  throughputBench,
  latencyBench,
  growthBench,
  resumeBench,
  waitingBench,
  slowDiskBench,
  cpuBench,
  takeoverBench,
  outageBench,
  peersBench,
];
