import { expect, it } from 'vitest';
import { keptLikeliest } from './analogies.svelte';
import type { Session } from './session.svelte';

it('keeps its order when exact values take the place of an estimate', () => {
  let order = ['two', 'one'];
  const view = { a: 'x', b: 'y', measure: 'linear_cka' };
  const session = {
    view,
    layerMatches: () => order.map((layer) => ({ layer, value: 1 })),
  } as unknown as Session;
  const layers = { a: ['stem'], b: ['one', 'two', 'three'] };
  const likely = keptLikeliest(session, { layers });
  const stem = { side: 'a', layer: 'stem' } as const;
  expect(likely(stem)).toEqual(['two', 'one', 'three']);
  order = ['one', 'two'];
  expect(likely(stem)).toEqual(['two', 'one', 'three']);
  view.measure = 'mean_cca';
  order = []; // not known yet
  expect(likely(stem)).toEqual(['one', 'two', 'three']);
  order = ['three', 'one'];
  expect(likely(stem)).toEqual(['three', 'one', 'two']);
  layers.b = ['one', 'two']; // folded
  expect(likely(stem)).toEqual(['one', 'two']);
});
