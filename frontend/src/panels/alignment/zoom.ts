import type { PlacedBox } from '../../layout/place';
import { SIDES } from '../../state/address';
import type { Side } from '../../draw/figure';

export const MOST_ZOOM = 16;
const [PER_NOTCH, PER_PINCH] = [0.0018, 0.012];

interface Ground {
  /** What scrolls the drawing. */
  frame: () => HTMLElement | undefined;
  boxes: () => Record<Side, readonly PlacedBox[]>;
  magnified: () => number;
  zoom: () => number;
  setZoom: (zoom: number) => void;
}

/** Keeps what is at the pointer, or in the middle, where it is as the drawing becomes larger. */
export function zoomer(ground: Ground) {
  /** A box, how far to the right of it one looked, and where in the window that was. */
  let held: { side: Side; id: string; aside: number; at: number } | null = null;
  let pointer: number | null = null;

  return {
    /** Wheel and pinch. What cannot become smaller lets the page move instead. */
    wheel(event: WheelEvent): void {
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
      const frame = ground.frame();
      if (!frame || (!event.ctrlKey && isScrolled(frame))) return;
      const before = ground.zoom();
      const factor = Math.exp(-event.deltaY * (event.ctrlKey ? PER_PINCH : PER_NOTCH));
      const next = Math.min(MOST_ZOOM, Math.max(1, before * factor));
      if (event.ctrlKey || next !== before) event.preventDefault();
      if (next === before) return;
      pointer = (event.clientX - frame.getBoundingClientRect().left) / ground.magnified();
      ground.setZoom(next);
    },
    /** Before the drawing changes its size. */
    hold(): void {
      const frame = ground.frame();
      if (!frame) return;
      const at = pointer ?? frame.clientWidth / 2;
      pointer = null;
      const x = frame.scrollLeft + at;
      const all = SIDES.flatMap((side) => ground.boxes()[side].map((box) => ({ side, box })));
      const [nearest] = all.toSorted((p, q) => Math.abs(p.box.x - x) - Math.abs(q.box.x - x));
      held = nearest
        ? { side: nearest.side, id: nearest.box.id, aside: x - nearest.box.x, at }
        : null;
    },
    /** Once it has: what was looked at is where it was. */
    restore(): void {
      const frame = ground.frame();
      const box = held && ground.boxes()[held.side].find(({ id }) => id === held!.id);
      if (frame && held && box) frame.scrollLeft = box.x + held.aside - held.at;
    },
    /** The reader moves the drawing: nothing is held any longer. */
    release(): void {
      held = null;
    },
    moveTo(left: number): void {
      held = null;
      const frame = ground.frame();
      if (frame) frame.scrollLeft = left;
    },
  };
}

/** Whether the page was scrolled down, so that a wheel goes on to scroll it. */
function isScrolled(frame: HTMLElement): boolean {
  for (let one = frame.parentElement; one; one = one.parentElement) {
    if (one.scrollTop > 0) return true;
  }
  return false;
}
