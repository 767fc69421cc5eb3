/** A colour of the theme that holds now, by its name in the style sheet. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The same colour on paper: in the light theme, whichever holds. */
export function paperColour(name: string): string {
  for (const sheet of document.styleSheets) {
    for (const rule of sheet.cssRules) {
      if (!(rule instanceof CSSStyleRule) || rule.selectorText !== ':root') continue;
      const value = rule.style.getPropertyValue(name).trim();
      if (value) return value;
    }
  }
  return colour(name);
}

/** Follows TensorBoard's light or dark mode; alone, the reader's system setting. Paper is light. */
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
  const [dark, printed] = [
    window.matchMedia('(prefers-color-scheme: dark)'),
    window.matchMedia('print'),
  ];
  const update = (): void => apply(dark.matches && !printed.matches);
  for (const query of [dark, printed]) query.addEventListener('change', update);
  update();
  return () => {
    for (const query of [dark, printed]) query.removeEventListener('change', update);
  };
}

const FONTS = 'font-roboto/';

/**
 * TensorBoard's Roboto for its plugin's frame too: the font faces of its page, with addresses
 * from where TensorBoard is mounted. Alone, or in a page that cannot be read, fonts of the machine.
 */
export function shareFonts(): void {
  if (window.parent === window) return;
  const faces: string[] = [];
  try {
    for (const sheet of window.parent.document.styleSheets) {
      for (const { cssText } of sheet.cssRules) {
        if (cssText.startsWith('@font-face') && cssText.includes(FONTS)) faces.push(cssText);
      }
    }
  } catch {
    return; // a page of another origin
  }
  const style = document.createElement('style');
  const root = new URL('../../../', document.baseURI).href;
  style.textContent = faces
    .map((face) => face.replaceAll(/url\(["']?[^"')]*font-roboto\//g, `url("${root}${FONTS}`))
    .map((face) => face.replaceAll(/(\.woff2)["']?\)/g, '$1")'))
    .join('\n');
  document.head.append(style);
}
