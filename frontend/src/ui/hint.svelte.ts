import { untrack } from 'svelte';
import type { Attachment } from 'svelte/attachments';
import { HINTS, type Hint } from './hints';

const HOVER_MS = 500;

/** The control whose sentence is in sight, and the sentence. */
let shown = $state.raw<{ of: HTMLElement; sentence: string } | null>(null);
/** The control that is asked about: its sentence is in sight, or is about to be. */
let about: HTMLElement | null = null;
let timer = 0;

function show(of: HTMLElement, sentence: string, after: number): void {
  clearTimeout(timer);
  about = of;
  timer = window.setTimeout(() => (shown = { of, sentence }), after);
}

export function hideHint(): void {
  clearTimeout(timer);
  about = null;
  // A focused control that is removed is blurred in the midst of an update.
  untrack(() => (shown = null));
}

export const shownHint = (): typeof shown => shown;

/**
 * A sentence for whoever points at an element, reaches it by the keyboard, or has it read out.
 * `onclick`: for whoever touches it as well.
 */
export function sentence(said: string, onclick = false): Attachment<HTMLElement> {
  return (of) => {
    of.setAttribute('aria-description', said);
    const listening = new AbortController();
    const on = (event: string, hear: () => void): void =>
      of.addEventListener(event, hear, { signal: listening.signal });
    // A control that slides beneath a resting pointer is not asked about: the pointer has to move.
    let over = false;
    on('pointermove', () => {
      if (!over) show(of, said, HOVER_MS);
      over = true;
    });
    on('pointerleave', () => (over = false));
    on('focus', () => of.matches(':focus-visible') && show(of, said, HOVER_MS));
    for (const event of ['pointerleave', 'pointerdown', 'blur', 'keydown']) on(event, hideHint);
    if (onclick) on('click', () => show(of, said, 0));
    // What the sentence says may change while somebody reads it.
    if (about === of) {
      over = of.matches(':hover');
      show(of, said, shown ? 0 : HOVER_MS);
    }
    return () => {
      listening.abort();
      queueMicrotask(() => about === of && !of.isConnected && hideHint());
    };
  };
}

/** What a control does; `more` says what is chosen in it now. */
export function hint(key: Hint, more = ''): Attachment<HTMLElement> {
  return sentence([HINTS[key], more].filter(Boolean).join(' '));
}

/** The same for screen readers alone, where something else is shown at the pointer. */
export function described(key: Hint): Attachment<Element> {
  return (of) => of.setAttribute('aria-description', HINTS[key]);
}
