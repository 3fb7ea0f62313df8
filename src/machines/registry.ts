import type { Definition } from '../engine/definition.ts';
import { MachineError, toMachine } from '../engine/machine.ts';
import type { Machine } from '../engine/machine.ts';

/** The machines that a worker runs, by reference (`create-todo@1`). Versions live side by side. */
export type Registry = {
  readonly machines: readonly Machine[];
  /** By exact reference. */
  get(ref: string): Machine | undefined;
  /** By reference, or by bare id: then the version that was registered last. */
  resolve(refOrId: string): Machine | undefined;
};

/** @throws MachineError for a definition that fails its checks, or a reference that is registered twice. */
export const createRegistry = (definitions: readonly Definition[]): Registry => {
  const byRef = new Map<string, Machine>();
  const newest = new Map<string, Machine>();
  for (const machine of definitions.map(toMachine)) {
    if (byRef.has(machine.ref))
      throw new MachineError(`${machine.ref} is registered twice: give one of them another version`);
    byRef.set(machine.ref, machine);
    newest.set(machine.id, machine);
  }
  return {
    machines: [...byRef.values()],
    get: (ref) => byRef.get(ref),
    resolve: (refOrId) => byRef.get(refOrId) ?? newest.get(refOrId),
  };
};
