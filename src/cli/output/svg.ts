/** Pieces of pictures that are readable in light and in dark. */

export const text = (x: number, y: number, content: string, name = ''): string =>
  `<text x="${x}" y="${y}"${name && ` class="${name}"`}>${escape(content)}</text>`;

export const escape = (content: string): string =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** `body` is what the picture consists of, `style` what it needs besides the style of its texts. */
export const picture = (
  { width, height, title, style }: { width: number; height: number; title: string; style: string },
  body: readonly string[],
): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img" aria-label="${escape(title)}">`,
    `<style>${textStyle}${style}</style>`,
    text(8, 20, title, 'title'),
    ...body,
    '</svg>',
    '',
  ].join('\n');

const textStyle = `
  text { font: 11px ui-sans-serif, system-ui, sans-serif; fill: #24292f }
  .title { font-size: 14px; font-weight: 600 } .head { font-size: 12px; font-weight: 600 }
  .small { font-size: 9.5px; fill: #57606a }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9198a1 } }`;
