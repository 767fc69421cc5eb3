import { escape } from './figure';

/** What a drawing takes from the style sheet, as its elements compute it. */
const STYLES = [
  'fill',
  'fill-opacity',
  'stroke',
  'stroke-width',
  'stroke-opacity',
  'stroke-dasharray',
  'stroke-linejoin',
  'opacity',
  'paint-order',
  'font-family',
  'font-size',
  'font-weight',
  'text-anchor',
  'image-rendering',
] as const;
const CAPTION = 26;
const MARGIN = 10;

/**
 * A drawing of the page as a document of its own, in the colours that it has now. Elements of
 * class `passing` (what is pointed at) stay behind.
 */
export function standalone(svg: SVGSVGElement, caption: string): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const originals = [...svg.querySelectorAll('*')];
  [...copy.querySelectorAll('*')].forEach((element, i) => {
    const computed = getComputedStyle(originals[i]!);
    for (const name of STYLES) element.setAttribute(name, computed.getPropertyValue(name));
    for (const name of ['class', 'style', 'tabindex', 'role']) element.removeAttribute(name);
    if (originals[i]!.classList.contains('passing')) element.remove();
  });
  const { width, height } = svg.getBoundingClientRect();
  const root = getComputedStyle(document.documentElement);
  const colour = (name: string): string => escape(root.getPropertyValue(name).trim());
  const whole = { width: width + 2 * MARGIN, height: height + CAPTION + 2 * MARGIN };
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${whole.width}" height="${whole.height}" ` +
    `viewBox="${-MARGIN} ${-MARGIN} ${whole.width} ${whole.height}" ` +
    `font-family="Roboto, system-ui, Helvetica, Arial, sans-serif">` +
    `<rect x="${-MARGIN}" y="${-MARGIN}" width="100%" height="100%" fill="${colour('--page')}"/>` +
    `${new XMLSerializer().serializeToString(copy)}` +
    `<text x="0" y="${height + 18}" font-size="11" fill="${colour('--soft')}">` +
    `${escape(caption)}</text></svg>`
  );
}
