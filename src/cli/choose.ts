import type { Machine } from '../engine/machine.ts';
import type { Registry } from '../machines/registry.ts';
import { CliError, exitCodes, usage } from './exit.ts';
import { safe } from './output/safe.ts';

/** The machine of that name, or the only one there is. @throws CliError */
export const choose = (registry: Registry, name: string | undefined): Machine => {
  const known = registry.machines.map(({ ref }) => ref).join(', ');
  const [only, ...others] = registry.machines;
  if (name === undefined && only && others.length === 0) return only;
  if (name === undefined) throw usage(`there are several machines: name one of ${known}`);
  const machine = registry.resolve(name);
  if (!machine)
    throw new CliError(exitCodes.notFound, `no machine is called ${safe(name)}; there is ${known}`);
  return machine;
};
