// A frame that came later than this was too full.
const LATE_MS = 20;
const FEWEST = 150;
const FIRST = 1_500;

// Frames further apart than this do not follow each other: they say nothing about the load.
const APART_MS = 150;

/** How many lines fit into one frame of this machine: learned from the frames before. */
let portion = FIRST;
let before = 0;

/**
 * Work through `count` things from the last to the first, as many per frame as keep the page at
 * its frame rate. `begin` runs at the start of the first frame. Returns how to stop.
 */
export function inSlices(
  count: number,
  begin: () => void,
  work: (first: number, end: number) => void,
): () => void {
  let left = count;
  let begun = false;
  const step = (now: number): void => {
    const interval = now - before;
    before = now;
    // Up slowly, down fast: late frames stay rare.
    if (interval < LATE_MS) portion = Math.ceil(portion * 1.02);
    else if (interval < APART_MS) portion = Math.max(FEWEST, Math.round(portion * 0.5));
    if (!begun) begin();
    begun = true;
    const first = Math.max(0, left - portion);
    work(first, left);
    left = first;
    if (left > 0) frame = requestAnimationFrame(step);
  };
  let frame = requestAnimationFrame(step);
  return () => cancelAnimationFrame(frame);
}
