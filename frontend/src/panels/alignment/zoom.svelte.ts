import { least } from 'd3-array';
import { holdBack } from '../../draw/slices';
import type { PlacedBox } from '../../layout/place';
import { SIDES } from '../../state/address';
import type { Side } from '../../draw/figure';
import { MOST_ZOOM, shiftOf } from './zoom';

const [PER_NOTCH, PER_PINCH] = [0.0018, 0.012];
// Wheels turn again within less than this.
const PAUSE_MS = 150;

interface Ground {
  /** What scrolls the drawing. */
  frame: () => HTMLElement | undefined;
  boxes: () => Record<Side, readonly PlacedBox[]>;
  /** Width of the drawing, as it is laid out. */
  width: () => number;
  magnified: () => number;
  drawing: { zoom: number; readonly zoomed: number };
}

/**
 * Keeps what is at the pointer, or in the middle, where it is as the drawing becomes larger.
 *
 * To lay all out and draw it anew takes longer than a frame. So as long as a wheel turns, the
 * drawing is stretched as it is, once a frame, and it is laid out once the wheel pauses.
 */
export function zoomer(ground: Ground) {
  const { drawing } = ground;
  /** What one looked at: nodes, how far to the right of them, and where in the window that was. */
  let held: {
    side: Side;
    nodes: readonly string[];
    aside: number;
    zoom: number | null;
    at: number;
  } | null = null;
  /** What the wheel asks for, as long as it turns and until that is laid out. */
  let wanted = $state<number | null>(null);
  let shift = $state(0);
  /** What the wheel has asked for since the last frame. */
  let asked: { zoom: number; clientX: number } | null = null;
  let pause: ReturnType<typeof setTimeout> | undefined;
  const scale = $derived(wanted === null ? 1 : wanted / drawing.zoomed);
  $effect(() => () => clearTimeout(pause));
  $effect(() => {
    holdBack(wanted !== null);
    return () => holdBack(false);
  });

  function hold(frame: HTMLElement, at: number): void {
    const x = (frame.scrollLeft + at - shift) / scale;
    const all = SIDES.flatMap((side) => ground.boxes()[side].map((box) => ({ side, box })));
    const nearest = least(all, ({ box }) => Math.abs(box.x - x));
    if (!nearest) return;
    const { side, box } = nearest;
    const aside = x - box.x;
    const onIt = Math.abs(aside) <= box.width / 2;
    held = { side, nodes: box.nodes, aside, zoom: onIt ? null : drawing.zoomed, at };
  }
  /** Where in the drawing that is now: a block may have been folded or unfolded. */
  function heldAt({ side, nodes, aside, zoom }: NonNullable<typeof held>): number | null {
    const boxes = ground.boxes()[side];
    const same = boxes.filter((box) => box.nodes.some((node) => nodes.includes(node)));
    const middle = same.reduce((sum, box) => sum + box.x, 0) / same.length;
    // Boxes keep their width, and so does what is on one of them.
    const scaled = zoom === null ? aside : (aside * drawing.zoomed) / zoom;
    return same.length ? middle + scaled : null;
  }
  function stretch(frame: HTMLElement, x: number, at: number): void {
    const { scrollLeft, clientWidth } = frame;
    shift = shiftOf({
      scale,
      x,
      at,
      scrolled: scrollLeft,
      viewport: clientWidth,
      width: ground.width(),
    });
  }
  function turn(): void {
    const frame = ground.frame();
    if (!frame || !asked) return;
    const at = (asked.clientX - frame.getBoundingClientRect().left) / ground.magnified();
    hold(frame, at);
    const x = (frame.scrollLeft + at - shift) / scale;
    wanted = asked.zoom;
    asked = null;
    stretch(frame, x, at);
  }
  function rest(): void {
    turn();
    pause = undefined;
    if (wanted === drawing.zoomed && drawing.zoom === drawing.zoomed) end();
    else if (wanted !== null) drawing.zoom = wanted;
  }
  function end(): void {
    clearTimeout(pause);
    pause = undefined;
    asked = null;
    wanted = null;
    shift = 0;
    held = null;
  }

  return {
    /** Whether it is stretched, until what the wheel asks for is laid out. */
    get turning() {
      return wanted !== null;
    },
    /** How much wider than it was laid out the drawing is shown, and how far it is moved. */
    get scale() {
      return scale;
    },
    get shift() {
      return shift;
    },
    get zoom() {
      return wanted ?? drawing.zoom;
    },
    /** By a button: around the middle. */
    set zoom(next: number) {
      const frame = ground.frame();
      end();
      if (frame) hold(frame, frame.clientWidth / 2);
      drawing.zoom = next;
    },
    /** Wheel and pinch. What cannot become smaller lets the page move instead. */
    wheel(event: WheelEvent): void {
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
      const frame = ground.frame();
      if (!frame || (!event.ctrlKey && isScrolled(frame))) return;
      const before = asked?.zoom ?? wanted ?? drawing.zoom;
      const factor = Math.exp(-event.deltaY * (event.ctrlKey ? PER_PINCH : PER_NOTCH));
      const next = Math.min(MOST_ZOOM, Math.max(1, before * factor));
      if (event.ctrlKey || next !== before) event.preventDefault();
      if (next === before) return;
      if (asked === null) requestAnimationFrame(turn);
      asked = { zoom: next, clientX: event.clientX };
      clearTimeout(pause);
      pause = setTimeout(rest, PAUSE_MS);
    },
    /** Once it was laid out anew: what was looked at is where it was. */
    restore(): void {
      const frame = ground.frame();
      const x = held && heldAt(held);
      if (!frame || !held || x === null) return;
      const { at } = held;
      frame.scrollLeft = x - at;
      if (wanted !== null && (pause !== undefined || wanted !== drawing.zoomed))
        stretch(frame, x, at);
      else if (drawing.zoom === drawing.zoomed) end();
    },
    /** The reader moves the drawing: nothing is held any longer. */
    release(): void {
      if (wanted === null) held = null;
    },
    moveTo(left: number): void {
      const frame = ground.frame();
      end();
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
