/** Of the font size, a letter's mean width in the fonts of exported figures. */
export const LETTER = 0.58;

/** A text in lines of at most `width`, as SVG has no lines of its own. No line ends at a no-break space. */
export function wrap(text: string, width: number, font: number): string[] {
  const most = Math.max(10, Math.floor(width / (font * LETTER)));
  const lines: string[] = [];
  let line = '';
  for (const word of text
    .split(/[^\S\u00a0]+/)
    .flatMap((w) => w.match(new RegExp(`.{1,${most}}`, 'gu')) ?? [])) {
    if (line && line.length + 1 + word.length > most) {
      lines.push(line);
      line = '';
    }
    line = line ? `${line} ${word}` : word;
  }
  return line ? [...lines, line] : lines;
}
