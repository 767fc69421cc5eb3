import type { Attachment } from 'svelte/attachments';

/**
 * Tells when somebody points at an element: the pointer was moved over it. One that rests while
 * content slides beneath it points at nothing. `leave` also follows when the element goes.
 */
export function intent(point: () => void, leave: () => void): Attachment {
  return (element) => {
    let over = false;
    const moved = (): void => {
      if (over) return;
      over = true;
      point();
    };
    const left = (): void => {
      if (!over) return;
      over = false;
      leave();
    };
    element.addEventListener('pointermove', moved);
    element.addEventListener('pointerleave', left);
    return () => {
      left();
      element.removeEventListener('pointermove', moved);
      element.removeEventListener('pointerleave', left);
    };
  };
}
