import { describe, expect, it } from 'vitest';
import { chain, inceptions } from '../layout/fixture';
import { place } from '../layout/place';
import { format, fraction, heat, readableTicks, stroke } from './encode';
import { matrixCsv } from './export';
import { anchor, composeFigure, escape, figureSvg } from './figure';
import { placeLabels } from './labels';
import { linePath, type Scene } from './lines';

const NOTHING = new Set<string>();

describe('encoding', () => {
  const encoding = { low: 0.2, high: 0.8, sign: 1 as const };

  it('is linear between its ends and does not exaggerate beyond them', () => {
    expect(fraction(0.5, encoding)).toBeCloseTo(0.5);
    const [low, middle, high] = [0.2, 0.5, 0.8].map((v) => stroke(v, encoding));
    expect(middle!.width).toBeCloseTo((low!.width + high!.width) / 2);
    expect(middle!.opacity).toBeCloseTo((low!.opacity + high!.opacity) / 2);
    expect(stroke(5, encoding)).toEqual(high);
  });

  it('prints ticks with as many digits as tell them apart', () => {
    expect(readableTicks({ low: 0.31, high: 0.94, sign: 1 }).map((t) => t.text)).toContain('0.4');
    expect(readableTicks({ low: 0.9, high: 0.94, sign: 1 }).map((t) => t.text)).toContain('0.91');
  });

  it('grows lighter with the value', () => {
    const light = (colour: string): number => Number.parseInt(colour.slice(3, 5), 16);
    expect(light(heat(0.2, encoding))).toBeLessThan(light(heat(0.5, encoding)));
    expect(light(heat(0.5, encoding))).toBeLessThan(light(heat(0.8, encoding)));
  });

  it('prints what is not a number as a dash', () => {
    expect(format(NaN)).toBe('–');
    expect(format(0.12345)).toBe('0.123');
    expect(format(12345)).toBe('1.23e+4');
  });
});

describe('labels', () => {
  it('are whole names where these fit, else what tells blocks apart', () => {
    const names = (width: number, word: string): string[] => {
      const graph = inceptions(9);
      for (const block of graph.blocks) block.name = block.name.replace('inception_', word);
      return placeLabels(place(graph, NOTHING, width, 1)).flatMap((label) =>
        label.block === null ? [] : [label.text],
      );
    };
    const all = (word: string): string[] => Array.from({ length: 9 }, (_, k) => `${word}${k}`);
    expect(names(930, 'inception_')).toEqual(all('inception_'));
    expect(names(700, 'inception_')).toEqual(all(''));
    expect(names(700, 'inceptions')).toEqual(all(''));
  });

  it('do not overlap and name every block', () => {
    const layout = place(inceptions(9), NOTHING, 930, 1);
    const labels = placeLabels(layout);
    expect(labels.filter((l) => l.block !== null).map((l) => l.text)).toEqual(
      Array.from({ length: 9 }, (_, k) => `inception_${k}`),
    );
    const sorted = [...labels].sort((p, q) => p.x - q.x);
    for (const [index, label] of sorted.slice(1).entries()) {
      const before = sorted[index]!;
      const room = ((label.text.length + before.text.length) / 2) * 5.5;
      expect(label.x - before.x, `${before.text} and ${label.text}`).toBeGreaterThan(room);
    }
  });

  it('stand in a second row, and lose their first word, before a block has none', () => {
    const cells = ['stem', 'normal_1', 'reduction_wide_1', 'normal_2', 'reduction_wide_2'];
    const graph = {
      ...chain(...cells),
      blocks: cells.map((name) => ({
        name,
        kind: 'inception',
        nodes: [name],
        output: name,
        parent: null,
      })),
    };
    const labels = placeLabels(place(graph, new Set(cells), 320, 1));
    expect(labels.every((label) => label.text !== '')).toBe(true);
    expect(new Set(labels.map((label) => label.row)).size).toBe(2);
    const texts = labels.map((label) => label.text);
    expect(texts).toContain('normal_1');
    expect(texts.some((text) => text.startsWith('wide_'))).toBe(true);
    for (const row of [0, 1]) {
      const beside = labels.filter((label) => label.row === row).sort((p, q) => p.x - q.x);
      for (const [index, label] of beside.slice(1).entries()) {
        const before = beside[index]!;
        const room = ((label.text.length + before.text.length) / 2) * 5.5;
        expect(label.x - before.x, `${before.text} and ${label.text}`).toBeGreaterThan(room);
      }
    }
  });

  it('of blocks in a stage leave out what the stage says, and stay apart', () => {
    const blocks = ['conv2', 'conv3'].flatMap((stage) =>
      [1, 2].map((k) => ({ stage, name: `${stage}_block${k}` })),
    );
    const names = blocks.map((block) => [`${block.name}_a`, `${block.name}_b`]);
    const graph = {
      ...chain(...names.flat()),
      blocks: [
        ...['conv2', 'conv3'].map((stage) => ({
          name: stage,
          kind: 'stage',
          nodes: blocks.flatMap((b, k) => (b.stage === stage ? names[k]! : [])),
          output: `${stage}_block2_b`,
          parent: null,
        })),
        ...blocks.map((block, k) => ({
          name: block.name,
          kind: 'residual',
          nodes: names[k]!,
          output: names[k]![1]!,
          parent: block.stage,
        })),
      ],
    };
    const texts = (width: number): string[] =>
      placeLabels(place(graph, NOTHING, width, 1))
        .filter((l) => l.block !== null)
        .map((l) => l.text);
    expect(texts(600).sort()).toEqual(['block1', 'block1', 'block2', 'block2', 'conv2', 'conv3']);
    const labels = placeLabels(place(graph, NOTHING, 120, 1)).filter((l) => l.row === 0);
    expect(labels.filter((l) => l.block !== null)).toHaveLength(4); // marks at least
  });
});

describe('figure', () => {
  const layouts = {
    a: place(chain('one', 'two'), NOTHING, 300, 1),
    b: place(chain('<img src=x onerror=alert(1)>', 'y & z'), NOTHING, 300, 1),
  };
  const figure = composeFigure(layouts, 190);
  const scene: Scene = {
    table: { rows: 2, columns: 2, values: Float64Array.of(0, 1, 0, 0) },
    rows: layouts.a.boxes.map((box) => anchor(figure, 'a', box)),
    columns: layouts.b.boxes.map((box) => anchor(figure, 'b', box)),
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
    const svg = figureSvg(figure, scene, pairs, { a: 'A', b: 'B' }, 'caption', () => '#123456');
    expect(svg).not.toContain('<img');
    expect(svg).toContain('&lt;img src=x onerror=alert(1)&gt;');
    expect(svg).toContain('y &amp; z');
    expect(svg).not.toMatch(/https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
  });

  it('keeps the exported document well formed whatever a name holds', () => {
    expect(escape('\u0000"<&>\u0007')).toBe('\ufffd&quot;&lt;&amp;&gt;\ufffd');
  });
});

describe('CSV', () => {
  it('quotes names and never starts a formula', () => {
    const csv = matrixCsv({
      rows: ['x,y', '=1+1', 'dead'],
      columns: ['say "hi"'],
      values: Float64Array.of(0.5, 0.25, NaN),
    });
    expect(csv).toBe(',"say ""hi"""\n"x,y",0.5\n\'=1+1,0.25\ndead,\n');
  });
});
