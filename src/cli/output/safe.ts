/**
 * A user's text as it may reach a terminal: control characters (C0, C1, DEL), line separators, and the marks that
 * turn the direction of text are shown as escapes, so that nothing that was submitted can move a cursor or hide.
 */
export const safe = (text: string): string =>
  text.replace(
    // oxlint-disable-next-line no-control-regex
    /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => named[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const named: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };
