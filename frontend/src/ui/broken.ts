/** A crossed frame, in a grey that both themes show. */
export const BROKEN =
  'data:image/svg+xml,' +
  encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48" fill="none" stroke="#888">' +
      '<path stroke-dasharray="3" d="M1 1h46v46H1z"/><path d="M18 18l12 12m0-12L18 30"/></svg>',
  );

/** Put that in the place of every image that cannot be read, whatever the browser draws there. */
export function markBroken(page: Document): void {
  page.addEventListener(
    'error',
    ({ target }) => {
      if (target instanceof HTMLImageElement && target.src !== BROKEN) target.src = BROKEN;
    },
    true, // such an event does not rise
  );
}
