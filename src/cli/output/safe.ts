/**
 * A user's text as it may reach a terminal: control characters (C0, C1, DEL), separators of lines, and the marks
 * that turn the direction of text or hide it are shown as escapes, so that nothing that was submitted can move a
 * cursor, forge a line or be other than it looks. The escapes are those of JSON.
 */
export const safe = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => named[character] ?? escaped(character));

const named: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const escaped = (character: string): string =>
  Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
    .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
    .join('');

/**
 * Words about something that went wrong, in one line that may be shown to anyone: what a command line was given
 * by mistake is perhaps a URL with a password in it. It rather hides too much.
 */
export const safeWords = (text: string): string =>
  safe(text).replaceAll(/((?<!file:)\/\/|\bamqps?:).*@/gi, '$1…@');
