import fc from 'fast-check';

/** Something that is given hostile inputs. */
export type Target = {
  readonly name: string;
  /** Of all the inputs, how many are for this one: from 0 to 1. What is slow to try gets few. */
  readonly share: number;
  /** Makes what trying needs. */
  readonly open: () => Promise<Open>;
};

type Open = {
  /** Throws where an input does harm. Resolves to the number of inputs that were tried. */
  readonly try: (parameters: fc.Parameters<unknown>) => Promise<void>;
  readonly close: () => void;
};

/** A target that tries one input after the other. */
export const target = <Input>(
  name: string,
  share: number,
  open: () => Promise<{
    readonly input: fc.Arbitrary<Input>;
    readonly attempt: (input: Input) => void | Promise<void>;
    readonly close?: () => void;
  }>,
): Target => ({
  name,
  share,
  open: async () => {
    const { input, attempt, close = () => {} } = await open();
    return {
      try: (parameters) =>
        fc.assert(
          fc.asyncProperty(input, async (value) => attempt(value)),
          parameters as fc.Parameters<[Input]>,
        ),
      close,
    };
  },
});
