import { describe, expect, it } from 'vitest';
import { chain, inceptions } from '../layout/fixture';
import { place } from '../layout/place';
import { anchors } from './anchors';
import { composeFigure } from './figure';
import { linePath } from './lines';

const NOTHING = new Set<string>();

describe('where lines leave boxes', () => {
  it.each([500, 900, 1400, 2400])(
    'no line runs behind a box of a parallel branch, nor on another, at %i pixels',
    (width) => {
      const layout = place(inceptions(9), NOTHING, width, 1);
      const figure = composeFigure({ a: layout, b: layout }, 200);
      for (const side of ['a', 'b'] as const) {
        const ends = anchors(figure, side, layout.boxes);
        const edge = side === 'a' ? figure.gap.top : figure.gap.bottom;
        ends.forEach(({ x, y }, at) => {
          for (const box of layout.boxes) {
            const middle = figure.tops[side] + box.y;
            const beside = Math.abs(x - box.x) >= box.width / 2;
            const passed = (middle - y) * (middle - edge) > 0;
            expect(beside || passed || box === layout.boxes[at], box.label).toBe(true);
          }
        });
        const places = ends.map(({ x }) => x).sort((p, q) => p - q);
        // The convolutions of a module stand above one another: four lines, not one.
        places.slice(1).forEach((x, at) => expect(x - places[at]!).toBeGreaterThan(0.8));
      }
    },
  );

  it('is the edge that faces the other model where nothing is before them', () => {
    const layout = place(chain('one', 'two'), NOTHING, 300, 1);
    const figure = composeFigure({ a: layout, b: layout }, 200);
    const [end] = anchors(figure, 'a', layout.boxes);
    const [box] = layout.boxes;
    expect(end).toEqual({ x: box!.x, y: figure.tops.a + box!.y + box!.height / 2 });
    const drawn = linePath({ x: 9, y: 50, aside: 4 }, end!, { top: 60, bottom: 90 });
    expect(drawn).toMatch(/^M4 50L9 50L9 60C/);
  });
});
