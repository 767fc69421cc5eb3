let ruler: CanvasRenderingContext2D | null = null;

/** How wide the widest of these names is on the page, in pixels, where it is emphasised. */
export function widest(names: readonly string[]): number {
  ruler ??= document.createElement('canvas').getContext('2d')!;
  ruler.font = `600 12px ${getComputedStyle(document.body).fontFamily}`;
  const widths = names.map((name) => ruler!.measureText(name).width);
  return Math.ceil(Math.max(0, ...widths));
}
