import type { Pairs } from '../align/select';
import type { Layout, PlacedBox } from '../layout/place';
import { lineTicks, stroke } from './encode';
import { placeLabels, type Label } from './labels';
import { DASHES, lineOf, linePath, type Gap, type Scene } from './lines';
import { hatchPattern, type Doubt } from './hatch';
import { opacityOf, outlinePath } from './outline';
import { leastFont, sizeOn, type Paper } from './paper';
import { wrap } from './wrap';

export type Side = 'a' | 'b';

/** Two drawings above one another with room for lines between them. */
export interface Figure {
  layouts: Record<Side, Layout>;
  labels: Record<Side, Label[]>;
  /** Upper edges of the two drawings. */
  tops: Record<Side, number>;
  gap: Gap;
  width: number;
  height: number;
}

const LABEL_ROW = 15;

export function composeFigure(layouts: Record<Side, Layout>, between: number): Figure {
  const labels = { a: placeLabels(layouts.a), b: placeLabels(layouts.b) };
  const band = (side: Side): number =>
    LABEL_ROW * (1 + Math.max(0, ...labels[side].map((label) => label.row)));
  const tops = { a: band('a'), b: band('a') + layouts.a.height + between };
  return {
    layouts,
    labels,
    tops,
    gap: { top: tops.a + layouts.a.height, bottom: tops.b },
    width: Math.max(layouts.a.width, layouts.b.width),
    height: tops.b + layouts.b.height + band('b'),
  };
}

/** As little room for lines as they can be read in, and as much, by the width, before they are too steep. */
const [LEAST_GAP, MOST_GAP] = [170, 0.5];

/** The lowest figure, which `taller` makes fit the room there is. */
export function lowestFigure(layouts: Record<Side, Layout>): Figure {
  return composeFigure(layouts, LEAST_GAP);
}

/** How much taller a lowest figure may become. */
export function headroom({ width }: Figure): number {
  return Math.max(0, MOST_GAP * width - LEAST_GAP);
}

/** The figure with more room between its models. */
export function taller(figure: Figure, by: number): Figure {
  const { tops, gap, height } = figure;
  return {
    ...figure,
    tops: { a: tops.a, b: tops.b + by },
    gap: { top: gap.top, bottom: gap.bottom + by },
    height: height + by,
  };
}

/** Base line of a label: outward from the drawing, away from the lines. */
export function labelLine({ tops, layouts }: Figure, side: Side, row: number): number {
  return side === 'a'
    ? tops.a - 3 - row * LABEL_ROW
    : tops.b + layouts.b.height + 11 + row * LABEL_ROW;
}

/** The colours of a theme, by the names that the style sheet gives them. */
export type Colours = (name: string) => string;

const MARGIN = 24;
const [LEGEND_ROW, CAPTION] = [20, 36];
const FONT = 10.5;
const LINE = 1.43;

/** What is to be seen of boxes beside what they are. */
export interface Marks {
  /** Why the measure cannot tell what a box is like. */
  doubtOfBox?: (side: Side, box: PlacedBox) => Doubt | null;
  /** Whether a filter leaves a box out. */
  leftOut?: (side: Side, box: PlacedBox) => boolean;
}

/** The figure as a document of its own: nothing in it refers to anything outside. */
export function figureSvg(
  figure: Figure,
  scene: Scene,
  pairs: Pairs,
  titles: Record<Side, string>,
  captions: readonly string[],
  colours: Colours,
  marks: Marks = {},
  paper: Paper | null = null,
): string {
  const width = figure.width + 2 * MARGIN;
  const font = paper ? leastFont(width, paper) : FONT;
  const leading = LINE * font;
  const caption = captions.flatMap((one) => wrap(one, figure.width, font));
  // Titles stand a line away from the names, however wide the drawing is on its paper.
  const [first, last, away] = [LABEL_ROW - 3, figure.height - 4, Math.max(LABEL_ROW + 1, leading)];
  const base = last + away + LEGEND_ROW;
  const below = CAPTION + leading * Math.max(1, caption.length);
  const height = base + below + MARGIN;
  const out: string[] = [];
  const sides = ['a', 'b'] as const;
  for (const side of sides) {
    out.push(`<g transform="translate(0 ${figure.tops[side]})">`);
    for (const frame of figure.layouts[side].frames) {
      out.push(
        `<rect x="${n(frame.left)}" y="${n(frame.top)}" width="${n(frame.right - frame.left)}" ` +
          `height="${n(frame.bottom - frame.top)}" rx="4" fill="${colours(`--${side}-back`)}" ` +
          `stroke="${colours(`--${side}-rule`)}" stroke-width="0.75"/>`,
      );
    }
    for (const edge of figure.layouts[side].edges) {
      out.push(
        `<path d="${edge.path}" fill="none" stroke="${colours('--edge')}" stroke-width="1.25"/>`,
      );
    }
    out.push('</g>');
  }
  for (const pair of pairs) {
    const line = lineOf(scene, pair);
    if (!line) continue;
    const { from, to } = line;
    const { width: thickness, opacity } = stroke(line.value, scene.encoding);
    out.push(
      `<path d="${linePath(from, to, scene.gap)}" fill="none" stroke="${colours('--line')}" ` +
        (scene.dashed?.(pair) ? `stroke-dasharray="${DASHES.join(' ')}" ` : '') +
        `stroke-width="${n(thickness)}" stroke-opacity="${n(opacity)}"/>`,
    );
  }
  for (const side of sides) {
    for (const box of figure.layouts[side].boxes) {
      const path = outlinePath(box);
      const opacity = opacityOf(box, marks.leftOut?.(side, box));
      const doubt = marks.doubtOfBox?.(side, box);
      out.push(
        `<g transform="translate(${n(box.x)} ${n(figure.tops[side] + box.y)})"` +
          (opacity === undefined ? '>' : ` opacity="${opacity}">`) +
          `<title>${escape(box.label)}</title>` +
          `<path d="${path}" fill="${colours(`--${side}`)}" stroke="${colours('--page')}"/>` +
          (doubt ? `<path class="hatch" d="${path}" fill="url(#graph-hatch-${doubt})"/>` : '') +
          '</g>',
      );
    }
    for (const label of figure.labels[side]) {
      if (label.text) out.push(text(label.x, labelLine(figure, side, label.row), label.text));
    }
  }
  let x = 0;
  const ticks = lineTicks(scene.encoding);
  const step = Math.min(70, figure.width / Math.max(1, ticks.length));
  const sample = Math.min(26, 0.4 * step);
  for (const { value, text: tick } of ticks) {
    const { width: thickness, opacity } = stroke(value, scene.encoding);
    out.push(
      `<line x1="${n(x)}" x2="${n(x + sample)}" y1="${base}" y2="${base}" stroke="${colours('--line')}" ` +
        `stroke-width="${n(thickness)}" stroke-opacity="${n(opacity)}"/>`,
      text(x + sample + 5, base + 4, tick, 'start'),
    );
    x += step;
  }
  caption.forEach((line, at) => out.push(text(0, base + 16 + font + at * leading, line, 'start')));
  out.push(text(0, first - away, titles.a, 'start'), text(0, last + away, titles.b, 'start'));
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" ${sizeOn(paper, width, height)} ` +
    `viewBox="${-MARGIN} ${-MARGIN} ${n(width)} ${n(height)}" ` +
    `font-family="Roboto, system-ui, Helvetica, Arial, sans-serif" font-size="${n(font)}">` +
    `<defs>${(['rows', 'null'] as const).map((why) => hatchPattern(`graph-hatch-${why}`, colours('--text'), why)).join('')}</defs>` +
    `<rect x="${-MARGIN}" y="${-MARGIN}" width="100%" height="100%" fill="${colours('--page')}"/>` +
    `${out.join('\n')}</svg>`
  );

  function text(at: number, y: number, content: string, where = 'middle'): string {
    return (
      `<text x="${n(at)}" y="${n(y)}" text-anchor="${where}" fill="${colours('--soft')}">` +
      `${escape(content)}</text>`
    );
  }
}

function n(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** Names come from log directories: markup in them stays text, and control characters go. */
export function escape(content: string): string {
  return (
    content
      // eslint-disable-next-line no-control-regex -- XML cannot hold them at all
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
  );
}
