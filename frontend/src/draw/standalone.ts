import { escape } from './figure';
import { wrap } from './wrap';

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
const [LINE, FONT, MARGIN] = [15, 11, 10];

/**
 * A drawing of the page as a document of its own, in light colours as on paper. Elements of class
 * `passing` (what is pointed at) stay behind.
 */
export function standalone(svg: SVGSVGElement, caption: string): string {
  const root = document.documentElement;
  const theme = root.dataset.theme;
  root.dataset.theme = 'light'; // read before anything is drawn again
  try {
    return written(svg, caption);
  } finally {
    root.dataset.theme = theme;
  }
}

function written(svg: SVGSVGElement, caption: string): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const originals = [...svg.querySelectorAll('*')];
  [...copy.querySelectorAll('*')].forEach((element, i) => {
    const computed = getComputedStyle(originals[i]!);
    for (const name of STYLES) element.setAttribute(name, computed.getPropertyValue(name));
    for (const name of ['class', 'style', 'tabindex', 'role']) element.removeAttribute(name);
    if (originals[i]!.classList.contains('passing')) element.remove();
  });
  const { width, height } = svg.getBoundingClientRect();
  const lines = wrap(caption, width, FONT);
  const whole = {
    width: width + 2 * MARGIN,
    height: height + LINE * (lines.length + 0.5) + 2 * MARGIN,
  };
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => escape(style.getPropertyValue(name).trim());
  const said = lines.map(
    (line, at) =>
      `<text x="0" y="${height + LINE * (at + 1)}" font-size="${FONT}" ` +
      `fill="${colour('--soft')}">${escape(line)}</text>`,
  );
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${whole.width}" height="${whole.height}" ` +
    `viewBox="${-MARGIN} ${-MARGIN} ${whole.width} ${whole.height}" ` +
    `font-family="Roboto, system-ui, Helvetica, Arial, sans-serif">` +
    `<rect x="${-MARGIN}" y="${-MARGIN}" width="100%" height="100%" fill="${colour('--page')}"/>` +
    `${new XMLSerializer().serializeToString(copy)}${said.join('')}</svg>`
  );
}
