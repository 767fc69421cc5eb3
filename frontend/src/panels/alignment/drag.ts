import type { PlacedBox } from '../../layout/place';
import type { Side } from '../../state/session.svelte';

/** Less is the hand of somebody who clicks. */
const SLACK = 4;

interface Ground {
  /** What scrolls the drawing; its corner is the origin of the drawing's coordinates. */
  frame: () => HTMLElement;
  magnified: () => number;
  nearest: (side: Side, x: number, y: number) => PlacedBox | null;
  onpoint: (side: Side, box: PlacedBox) => void;
  ondrop: (side: Side, box: PlacedBox) => void;
}

/** Dragging from a box moves along that model's depth; dragging from elsewhere moves the drawing. */
export function dragger(ground: Ground) {
  let start: { x: number; y: number; scroll: number; side: Side | null } | null = null;
  let moving = false;
  let over: PlacedBox | null = null;

  return {
    down(event: PointerEvent): void {
      if (event.button !== 0) return;
      const model = (event.target as Element).closest('.model');
      const side = model ? (model.classList.contains('a') ? 'a' : 'b') : null;
      start = { x: event.clientX, y: event.clientY, scroll: ground.frame().scrollLeft, side };
      moving = false;
      over = null;
    },
    move(event: PointerEvent): void {
      if (!start) return;
      if (!moving) {
        if (Math.hypot(event.clientX - start.x, event.clientY - start.y) < SLACK) return;
        moving = true;
        // From here on no box hears of the pointer, and no click follows.
        (event.currentTarget as Element).setPointerCapture(event.pointerId);
      }
      const [frame, zoom] = [ground.frame(), ground.magnified()];
      if (start.side === null) {
        frame.scrollLeft = start.scroll - (event.clientX - start.x) / zoom;
        return;
      }
      const corner = frame.getBoundingClientRect();
      over = ground.nearest(
        start.side,
        (event.clientX - corner.left) / zoom + frame.scrollLeft,
        (event.clientY - corner.top) / zoom,
      );
      if (over) ground.onpoint(start.side, over);
    },
    /** Whether that was the end of a movement. */
    up(): boolean {
      if (moving && start?.side && over) ground.ondrop(start.side, over);
      start = null;
      return moving;
    },
    cancel(): void {
      start = null;
    },
  };
}
