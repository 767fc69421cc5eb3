import { createSubscriber } from 'svelte/reactivity';
import { on } from 'svelte/events';

let ruler: CanvasRenderingContext2D | null = null;

/** Names are wider or less wide once the page's font is there, which may be after the first drawing. */
const whenFontsLoad = createSubscriber((update) => on(document.fonts, 'loadingdone', update));

/** How wide the widest of these names is on the page, in pixels, where it is emphasised. */
export function widest(names: readonly string[]): number {
  whenFontsLoad();
  ruler ??= document.createElement('canvas').getContext('2d')!;
  ruler.font = `600 12px ${getComputedStyle(document.body).fontFamily}`;
  const widths = names.map((name) => ruler!.measureText(name).width);
  return Math.ceil(Math.max(0, ...widths));
}
