import { forged, secret } from './hostile.ts';

/** What nobody but us may send to a terminal: control characters, separators of lines, marks that turn text or hide it. */
const harmful = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** At the start of a line, or where one of ours begins. */
const forgery = new RegExp(`^(holdfast: |line \\d+: |\\w*Error: )?${forged}`);

/** @throws where a terminal would obey the text, or show a line that is not ours */
export const expectHarmless = (text: string): void => {
  const found = harmful.exec(text);
  if (found)
    throw new Error(`a control character reaches the terminal: ${JSON.stringify(around(text, found.index))}`);
  const line = text.split('\n').find((one) => forgery.test(one));
  if (line !== undefined) throw new Error(`a line is not ours: ${JSON.stringify(line.slice(0, 100))}`);
};

/** @throws where a password is shown */
export const expectNoSecret = (text: string): void => {
  const at = text.indexOf(secret);
  if (at !== -1) throw new Error(`a credential is shown: ${JSON.stringify(around(text, at))}`);
};

/** @throws where an error is printed that nobody foresaw; the text was written with --debug */
export const expectForeseen = (text: string): void => {
  const found = /\b(Type|Range|Reference|Syntax|Internal|URI|Sqlite|Assertion|Zod)Error\b/.exec(text);
  if (found) throw new Error(`an unexpected exception: ${around(text, found.index)}`);
};

const around = (text: string, at: number): string => text.slice(Math.max(0, at - 60), at + 300);
