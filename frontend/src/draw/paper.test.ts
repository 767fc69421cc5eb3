import { describe, expect, it } from 'vitest';
import { chain } from '../layout/fixture';
import { place } from '../layout/place';
import { anchors } from './anchors';
import { composeFigure, figureSvg } from './figure';
import { matrixSvg } from './heatSvg';
import { leastFont, sizeOn, unitsOf, withDensity } from './paper';

/** Of a document: its width in points, and the least size of its text in points. */
function measured(svg: string): { points: number; least: number } {
  const mm = Number(/ width="([\d.]+)mm"/.exec(svg)![1]);
  const units = Number(/viewBox="\S+ \S+ ([\d.]+)/.exec(svg)![1]);
  const sizes = [...svg.matchAll(/font-size="([\d.]+)"/g)].map((found) => Number(found[1]));
  const points = (mm / 25.4) * 72;
  return { points, least: (Math.min(...sizes) / units) * points };
}

describe('paper', () => {
  const names = Array.from({ length: 60 }, (_, at) => `layer_${at}`);
  it.each([40, 85, 120, 180])('text is at least 7 points on %i mm', (mm) => {
    const layout = place(chain(...names), new Set(), unitsOf(mm) - 48, 1);
    const figure = composeFigure({ a: layout, b: layout }, 120);
    const ends = (side: 'a' | 'b') => anchors(figure, side, layout.boxes);
    const scene = {
      table: { rows: 60, columns: 60, values: new Float64Array(3600) },
      rows: ends('a'),
      columns: ends('b'),
      gap: figure.gap,
      encoding: { low: 0, high: 1, sign: 1 as const },
    };
    const titles = { a: 'A: r/n@3', b: 'B: r/m@0' };
    const graph = figureSvg(
      figure,
      scene,
      new Uint32Array(),
      titles,
      ['c'],
      () => '#123',
      {},
      { mm },
    );
    expect(measured(graph).points).toBeCloseTo((mm / 25.4) * 72, 3);
    expect(measured(graph).least).toBeGreaterThanOrEqual(6.99);
  });

  it('says its size in millimetres, in the shape of the drawing', () => {
    expect(sizeOn({ mm: 85 }, 200, 100)).toBe('width="85mm" height="42.5mm"');
    expect(sizeOn(null, 200, 100)).toBe('width="200" height="100"');
    expect(leastFont(unitsOf(85), { mm: 85 })).toBeCloseTo(9.333, 2);
    expect(leastFont(2 * unitsOf(85), { mm: 85 })).toBeCloseTo(18.667, 2);
    expect(matrixSvg).toBeTypeOf('function');
  });

  it('puts the density into a PNG file, and nothing else', () => {
    const base64 =
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=';
    const png = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const found = withDensity(png, 300);
    const text = String.fromCharCode(...found);
    const at = text.indexOf('pHYs');
    const view = new DataView(found.buffer);
    expect(view.getUint32(at + 4)).toBe(11811); // 300 to the inch
    expect(view.getUint32(at + 13)).toBe(0x78a53f76); // as libpng writes it
    expect([...found.subarray(0, at - 4), ...found.subarray(at + 17)]).toEqual([...png]);
  });
});
