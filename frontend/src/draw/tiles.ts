/** A part of a drawing, from left to right, that has a canvas of its own. */
export interface Tile {
  left: number;
  width: number;
  /** Whether some of it is in sight. */
  seen: boolean;
}

export const TILE = 800;
// More pixels than this are not held at once: only what is in sight and next to it.
const MOST_PIXELS = 4e6;

/** The tiles of a drawing of this size of which `viewport` pixels from `scrolled` on are seen. */
export function tilesOf(
  { width, height }: { width: number; height: number },
  ratio: number,
  scrolled: number,
  viewport: number,
): Tile[] {
  const all = width * height * ratio ** 2 <= MOST_PIXELS;
  return Array.from({ length: Math.ceil(width / TILE) }, (_, index) => {
    const left = index * TILE;
    const away = Math.max(left - scrolled - viewport, scrolled - left - TILE);
    return { left, width: Math.min(TILE, width - left), seen: away < 0, near: away < TILE };
  })
    .filter((tile) => all || tile.near)
    .map(({ left, width: wide, seen }) => ({ left, width: wide, seen }));
}
