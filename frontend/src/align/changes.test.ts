import { expect, it } from 'vitest';
import { largestChange } from './changes';
import type { Table } from './matrix';

function trend(rows: number, line: (step: number, row: number) => number): Table {
  const columns = 8;
  const values = Float64Array.from({ length: rows * columns }, (_, at) =>
    line(at % columns, Math.floor(at / columns)),
  );
  return { rows, columns, values };
}

it('names the step at which layers changed', () => {
  const table = trend(9, (step, row) => (step < 3 ? 0.2 : 0.8) + 0.01 * row + 0.005 * step);
  expect(largestChange(table, 1)).toMatchObject({ column: 3 });
  expect(largestChange(table, 1)!.by).toBeCloseTo(0.605);
});

it('names none where nothing stands out', () => {
  expect(
    largestChange(
      trend(9, () => 0.9),
      1,
    ),
  ).toBeNull();
  expect(
    largestChange(
      trend(9, (step) => step / 8),
      1,
    ),
  ).toBeNull(); // evenly
  expect(
    largestChange(
      trend(8, (step, row) => (step > row ? 0.9 : 0.1)),
      1,
    ),
  ).toBeNull(); // one by one
  expect(
    largestChange(
      trend(9, (step) => (step === 7 ? 1 : 0.1)),
      1,
    ),
  ).toBeNull(); // the reference
  expect(
    largestChange(
      trend(9, (step) => (step < 3 ? 0.2 : 0.25)),
      1,
    ),
  ).toBeNull(); // hardly
  expect(
    largestChange(
      trend(9, (step, row) => (row === 4 && step > 2 ? 1 : 0.1)),
      1,
    ),
  ).toBeNull();
  expect(
    largestChange(
      trend(9, () => NaN),
      1,
    ),
  ).toBeNull();
});
