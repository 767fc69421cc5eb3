// A frame that came later than this was too full.
const LATE_MS = 20;
// Frames further apart than this do not follow each other: they say nothing about the load.
const APART_MS = 150;

const FEWEST = 150;
const FIRST = 400;
// More and more until a frame is late, then back and only slowly up again: the machine's limit is
// known by then, and each attempt to pass it costs a late frame.
const [SEARCH, BACK, CREEP] = [1.15, 0.6, 1.003];

interface Task {
  /** How much of it is left; it is worked through from its end. */
  left: number;
  begun: boolean;
  urgent: boolean;
  begin: () => void;
  work: (first: number, end: number) => void;
}

const tasks = new Set<Task>();
/** How many things fit into one frame of this machine: learned from the frames before. */
let portion = FIRST;
let before = 0;
let full = false;
let searching = true;
let held = false;
let frame: number | null = null;

function learn(interval: number): void {
  if (interval < LATE_MS) portion *= searching ? SEARCH : CREEP;
  else if (interval < APART_MS) {
    portion = Math.max(FEWEST, portion * BACK);
    searching = false;
  }
}

function step(now: number): void {
  // A frame that had little to do says nothing of how much it could have done.
  if (full) learn(now - before);
  before = now;
  const urgent = [...tasks].filter((task) => task.urgent);
  // What is there already is enough to go by while the drawing moves.
  const turn = (urgent.length ? urgent : [...tasks]).filter(({ begun }) => !held || !begun);
  let budget = Math.round(portion);
  turn.sort((p, q) => p.left - q.left);
  turn.forEach((task, index) => {
    if (!task.begun) task.begin();
    task.begun = true;
    const end = task.left;
    task.left = Math.max(0, end - Math.ceil(budget / (turn.length - index)));
    budget -= end - task.left;
    task.work(task.left, end);
    if (task.left === 0) tasks.delete(task);
  });
  full = budget <= 0;
  frame = tasks.size > 0 ? requestAnimationFrame(step) : null;
}

/** Whether all that has begun waits: frames are wanted for something else. */
export function holdBack(all: boolean): void {
  held = all;
}

/**
 * Work through `count` things from the last to the first, as many per frame as keep the page at
 * its frame rate; what is not urgent waits until all that is urgent is done. `begin` runs before
 * the first of them. Returns how to stop.
 */
export function inSlices(
  count: number,
  urgent: boolean,
  begin: () => void,
  work: (first: number, end: number) => void,
): () => void {
  const task = { left: count, begun: false, urgent, begin, work };
  tasks.add(task);
  frame ??= requestAnimationFrame(step);
  return () => void tasks.delete(task);
}
