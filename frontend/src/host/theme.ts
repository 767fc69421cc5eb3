/** A colour of the theme that holds now, by its name in the style sheet. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Follows TensorBoard's light or dark mode; alone, the reader's system setting. */
export function followTheme(apply: (dark: boolean) => void): () => void {
  let host: HTMLElement | null;
  try {
    host = window.parent === window ? null : window.parent.document.body;
  } catch {
    host = null;
  }
  if (host) {
    const body = host;
    const update = (): void => apply(body.classList.contains('dark-mode'));
    const observer = new MutationObserver(update);
    observer.observe(body, { attributes: true, attributeFilter: ['class'] });
    update();
    return () => observer.disconnect();
  }
  const query = window.matchMedia('(prefers-color-scheme: dark)');
  const update = (): void => apply(query.matches);
  query.addEventListener('change', update);
  update();
  return () => query.removeEventListener('change', update);
}
