export const MOST_ZOOM = 16;

/** A drawing that is stretched, and what of it is to be where. */
export interface Stretched {
  scale: number;
  /** What is looked at, in the drawing's own coordinates, and where in the window it is to be. */
  x: number;
  at: number;
  /** How far the drawing is scrolled, and how much of it the window has room for. */
  scrolled: number;
  viewport: number;
  /** Of the drawing, before it is stretched. */
  width: number;
}

/** How far a stretched drawing is moved: as far as one end of it comes into the window at most. */
export function shiftOf({ scale, x, at, scrolled, viewport, width }: Stretched): number {
  const wished = scrolled + at - scale * x;
  return Math.min(scrolled, Math.max(scrolled + viewport - scale * width, wished));
}
