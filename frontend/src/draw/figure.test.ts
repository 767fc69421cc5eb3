import { describe, expect, it } from 'vitest';
import { chain } from '../layout/fixture';
import { place } from '../layout/place';
import { anchors } from './anchors';
import { composeFigure, escape, figureSvg } from './figure';
import { linePath, type Scene } from './lines';

const NOTHING = new Set<string>();

describe('figure', () => {
  const layouts = {
    a: place(chain('one', 'two'), NOTHING, 300, 1),
    b: place(chain('<img src=x onerror=alert(1)>', 'y & z'), NOTHING, 300, 1),
  };
  const figure = composeFigure(layouts, 190);
  const scene: Scene = {
    table: { rows: 2, columns: 2, values: Float64Array.of(0, 1, 0, 0) },
    rows: anchors(figure, 'a', layouts.a.boxes),
    columns: anchors(figure, 'b', layouts.b.boxes),
    gap: figure.gap,
    encoding: { low: 0, high: 1, sign: 1 },
  };

  const pairs = Uint32Array.of(1);

  it('draws lines from the lower edge of a box of A to the upper edge of a box of B', () => {
    const [from, to] = [scene.rows[0]!, scene.columns[1]!];
    const [a, b] = [layouts.a.boxes[0]!, layouts.b.boxes[1]!];
    expect(from).toEqual({ x: a.x, y: figure.tops.a + a.y + a.height / 2 });
    expect(to).toEqual({ x: b.x, y: figure.tops.b + b.y - b.height / 2 });
    const numbers = linePath(from, to, figure.gap)
      .match(/-?[\d.]+/g)!
      .map(Number);
    expect(numbers[0]).toBeCloseTo(from.x, 1);
    expect(numbers.at(-1)).toBeCloseTo(to.y, 1);
  });

  it('exports names as text, never as markup', () => {
    const svg = figureSvg(figure, scene, pairs, { a: 'A', b: 'B' }, ['caption'], () => '#123456');
    expect(svg).not.toContain('<img');
    expect(svg).toContain('&lt;img src=x onerror=alert(1)&gt;');
    expect(svg).toContain('y &amp; z');
    expect(svg).not.toMatch(/https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
  });

  it('exports every word of long captions, and hatches what the measure says little of', () => {
    const warning = `240 rows are fewer than the units of ${'layer '.repeat(60)}end`;
    const titles = { a: 'A', b: 'B' };
    const svg = figureSvg(figure, scene, pairs, titles, ['caption', warning], () => '#123456', {
      doubtOfBox: (side) => (side === 'a' ? 'rows' : null),
    });
    const written = [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map((found) => found[1]!);
    expect(written.join(' ')).toContain('layer end');
    for (const line of written) expect(line.length).toBeLessThan(80);
    expect(svg.match(/class="hatch"/g)).toHaveLength(layouts.a.boxes.length);
  });

  it('exports what was not logged as pale as it is drawn', () => {
    const [first, ...others] = layouts.a.boxes;
    const silent = { ...layouts.a, boxes: [{ ...first!, layers: [] }, ...others] };
    const drawn = composeFigure({ ...layouts, a: silent }, 190);
    const svg = figureSvg(drawn, scene, pairs, { a: 'A', b: 'B' }, [], () => '#123456');
    expect([...svg.matchAll(/opacity="0.45"><title>([^<]*)</g)].map((found) => found[1])).toEqual([
      first!.label,
    ]);
  });

  it('exports what a filter leaves out as pale as it is drawn, hatching included', () => {
    const [kept] = layouts.a.boxes;
    const svg = figureSvg(figure, scene, pairs, { a: 'A', b: 'B' }, [], () => '#123456', {
      leftOut: (side, box) => side === 'a' && box !== kept,
      doubtOfBox: (side) => (side === 'a' ? 'null' : null),
    });
    const pale = [...svg.matchAll(/<g [^>]*opacity="0.2"><title>([^<]*)<.*?<\/g>/g)];
    expect(pale.map((found) => found[1])).toEqual(['two']);
    expect(pale[0]![0]).toContain('class="hatch"');
    expect(svg.match(/class="hatch"/g)).toHaveLength(2);
  });

  it('keeps titles a line away from names and from the legend, on narrow paper too', () => {
    const wide = { a: layouts.a, b: place(chain(...'abcdefghijklmnopq'), NOTHING, 300, 1) };
    for (const on of [null, { mm: 120 }, { mm: 60 }]) {
      const drawn = composeFigure(wide, 190);
      const svg = figureSvg(
        drawn,
        { ...scene, rows: anchors(drawn, 'a', wide.a.boxes), columns: [] },
        pairs,
        { a: 'title A', b: 'title B' },
        ['caption'],
        () => '#123456',
        undefined,
        on,
      );
      const font = Number(/font-size="([\d.]+)"/.exec(svg)![1]);
      const at = new Map(
        [...svg.matchAll(/<text x="[^"]*" y="([^"]*)"[^>]*>([^<]*)</g)].map(
          ([, y, content]) => [content!, Number(y)] as const,
        ),
      );
      expect(at.get('one')! - at.get('title A')!).toBeGreaterThan(1.3 * font);
      expect(at.get('title B')! - at.get('a')!).toBeGreaterThan(1.3 * font);
      expect(at.get('0.2')! - at.get('title B')!).toBeGreaterThan(1.3 * font);
      expect(at.get('caption')! - at.get('0.2')!).toBeGreaterThan(1.3 * font);
    }
  });

  it('keeps the exported document well formed whatever a name holds', () => {
    expect(escape('\u0000"<&>\u0007')).toBe('\ufffd&quot;&lt;&amp;&gt;\ufffd');
  });
});
