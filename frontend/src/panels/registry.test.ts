import { describe, expect, it } from 'vitest';
import { readView, type View } from '../state/address';
import type { Drawing } from '../state/drawing.svelte';
import type { Session } from '../state/session.svelte';
import { VIEWS } from '../state/views';
import { PANELS } from './registry';

const TABLE = { rows: 1, columns: 1, values: new Float64Array(1) };

function titles(
  parameters: Record<string, string>,
  live = true,
  laidOut = true,
  matrix: object | null = null,
  logged = true,
  shown: typeof TABLE | null = TABLE,
): string[] {
  const view = readView(parameters);
  const snapshot = (): object | null => (logged ? {} : null);
  const session = { source: { live }, view, shown, table: shown, matrix, snapshot };
  const drawing = { layouts: laidOut ? {} : null };
  return PANELS.filter((panel) =>
    panel.shown(session as unknown as Session, drawing as unknown as Drawing),
  ).map(({ title }) => title);
}

const WARNED = ['What is drawn', 'Warnings'];

describe('panels', () => {
  it.each<[View['pane'], string[]]>([
    ['graph', [...WARNED, 'Alignment graph', 'Progress', 'Inspector']],
    ['matrix', [...WARNED, 'Matrix', 'Progress', 'Inspector']],
    ['both', [...WARNED, 'Alignment graph', 'Matrix', 'Progress', 'Inspector']],
    ['models', ['Models']],
    ['training', ['Training']],
  ])('of the view %s', (view, expected) => {
    expect(titles({ view })).toEqual(expected);
  });

  it('show how far a comparison is while there is no drawing', () => {
    expect(titles({}, true, false)).toEqual([...WARNED, 'Progress', 'Inspector']);
  });

  it('keep the place of the matrix beside the graph before there is one, as the graph would move', () => {
    const before = (view: string, logged: boolean): string[] =>
      titles({ view }, true, true, null, logged, null);
    expect(before('both', true)).toContain('Matrix');
    expect(before('both', false)).not.toContain('Matrix');
    expect(before('matrix', true)).not.toContain('Matrix'); // there it has a progress bar
  });

  it('have no toolbar for models that are not there', () => {
    expect(titles({}, true, false, null, false)).not.toContain('What is drawn');
  });

  it('show it below the figure, last, and not in a report', () => {
    const drawn = [...WARNED, 'Alignment graph'];
    expect(titles({}, true, true, {})).toEqual([...drawn, 'Progress', 'Inspector']);
    expect(titles({}, false, true, {})).not.toContain('Progress');
  });

  it('show what a chosen unit is in the other model, and keep the warnings', () => {
    const chosen = { layer: 'conv', unit: '3', graphs: 'a' };
    expect(titles(chosen)).toEqual([
      ...WARNED,
      'Alignment graph',
      'Analogies',
      "TensorBoard's own graph",
      'Progress',
      'Inspector',
    ]);
  });

  it('leave out of a report what only a server can compute', () => {
    const chosen = { layer: 'conv', unit: '3', graphs: 'a', view: 'training' };
    expect(titles(chosen, false)).toEqual([...WARNED, 'Alignment graph', 'Matrix', 'Inspector']);
  });

  it('have a name each, and every view shows some', () => {
    expect(new Set(PANELS.map(({ title }) => title)).size).toBe(PANELS.length);
    for (const { name } of VIEWS) expect(titles({ view: name })).not.toEqual([]);
  });
});
