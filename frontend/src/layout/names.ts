import { group } from 'd3-array';

/** Names of one set, made short enough to be read side by side; no two of them alike. */
export interface ShortNames {
  /** The short form of a name of the set; any other comes back as it is. */
  of: (name: string) => string;
  /** A sentence on what was left out of the names of the model; null if nothing was. */
  said: (model: string) => string | null;
}

/** As many letters as stand beside a row of a matrix, or in two lines under a picture. */
export const LETTERS = 22;

const DOTS = '…';
const SEPARATORS = ['_', '.', '/', '-', ':', ' '];
// A beginning that so few names share is no rule that a reader would remember.
const LEAST_SHARERS = 3;

/**
 * Short forms of `names`, of at most `letters` letters wherever that tells them apart. Names that
 * fit all together stay as they are. Else what all share is left out, then a beginning that most of
 * the long ones share (dots stand for it), then the middle, except for where a name differs from
 * those that would look like it.
 */
export function shortNames(names: Iterable<string>, letters: number): ShortNames {
  const whole = [...new Set(names)];
  const isLong = (name: string): boolean => lettersOf(name).length > letters;
  if (!whole.some(isLong)) return { of: (name) => name, said: () => null };
  const said: string[] = [];

  const [beginning, end] = [sharedBeginning(whole), sharedEnd(whole)];
  const fits = whole.every((name) => name.length > beginning + end);
  const [from, to] = fits ? [beginning, end] : [beginning, 0];
  let short = whole.map((name) => name.slice(from, name.length - to));
  if (from > 0) said.push(`the beginning “${whole[0]!.slice(0, from)}” is left out`);
  if (to > 0) said.push(`the end “${whole[0]!.slice(-to)}” is left out`);

  const frequent = frequentBeginning(short.filter(isLong));
  if (frequent !== null) {
    said.push(`“${DOTS}” stands for “${frequent}”`);
    short = short.map((name) =>
      name.startsWith(frequent) && name !== frequent ? DOTS + name.slice(frequent.length) : name,
    );
  }
  const apart = keepApart(short.map(lettersOf), letters);
  const forms = new Map(whole.map((name, at) => [name, apart[at]!]));
  return {
    of: (name) => forms.get(name) ?? name,
    said: (model) => (said.length ? `In ${model}'s names, ${said.join(' and ')}.` : null),
  };
}

/** One name alone, without its middle. */
export function elide(name: string, letters: number): string {
  const all = lettersOf(name);
  return all.length <= letters ? name : withoutMiddle(all, letters);
}

/** How many code units all names begin with, up to and with a separator, or up to a number. */
export function sharedBeginning(names: readonly string[]): number {
  if (new Set(names).size < 2) return 0;
  let shared = names[0]!;
  for (const name of names) {
    while (!name.startsWith(shared)) shared = shared.slice(0, -1);
  }
  const word = shared.replace(/\d+$/, '');
  if (word !== '' && names.every((name) => /^\d/.test(name.slice(word.length)))) {
    return word.length;
  }
  const cut = lastSeparator(shared) + 1;
  // A name that is the beginning itself would be left without a letter.
  return names.some((name) => name.length <= cut) ? 0 : cut;
}

function sharedEnd(names: readonly string[]): number {
  if (names.length < 2) return 0;
  let shared = names[0]!;
  for (const name of names) {
    while (!name.endsWith(shared)) shared = shared.slice(1);
  }
  const starts = SEPARATORS.map((mark) => shared.indexOf(mark)).filter((at) => at >= 0);
  return starts.length ? shared.length - Math.min(...starts) : 0;
}

function lastSeparator(text: string): number {
  return Math.max(...SEPARATORS.map((mark) => text.lastIndexOf(mark)));
}

/** Of the beginnings that at least half of these names share, the one that saves most. */
function frequentBeginning(names: readonly string[]): string | null {
  const counts = new Map<string, number>();
  for (const name of names) {
    for (let at = lastSeparator(name); at > 0; at = lastSeparator(name.slice(0, at))) {
      const start = name.slice(0, at + 1);
      if (start !== name) counts.set(start, (counts.get(start) ?? 0) + 1);
    }
  }
  let best: string | null = null;
  let most = 0;
  for (const [start, count] of counts) {
    const saved = count * (start.length - DOTS.length);
    if (count < LEAST_SHARERS || 2 * count < names.length || saved <= most) continue;
    [best, most] = [start, saved];
  }
  return best;
}

interface Shortened {
  all: readonly string[];
  letters: number;
  /** Where it differs from names that looked like it; null as long as none did. */
  differs: { from: number; to: number } | null;
}

/** Without their middles, each as much longer as it takes that no two are alike. */
function keepApart(names: readonly (readonly string[])[], letters: number): string[] {
  const forms = names.map((all): Shortened => ({ all, letters, differs: null }));
  for (;;) {
    const texts = forms.map(write);
    const alike = [...group(forms, (_, at) => texts[at]!).values()].filter(
      (same) => same.length > 1,
    );
    if (alike.length === 0) return texts;
    for (const members of alike) {
      const [start, end] = alikeEnds(members.map(({ all }) => all));
      for (const form of members) {
        if (form.differs) form.letters += 2;
        form.differs = { from: start, to: Math.max(start + 1, form.all.length - end) };
      }
    }
  }
}

function write({ all, letters, differs }: Shortened): string {
  if (all.length <= letters) return all.join('');
  if (!differs) return withoutMiddle(all, letters);
  const core = Math.min(differs.to - differs.from, letters - 4);
  const rest = letters - core - 2 * DOTS.length;
  const head = Math.ceil(rest / 2);
  return kept(
    all,
    (at) =>
      at < head ||
      at >= all.length - (rest - head) ||
      (at >= differs.from && at < differs.from + core),
  );
}

function withoutMiddle(all: readonly string[], letters: number): string {
  const head = Math.ceil((letters - 1) / 2);
  return kept(all, (at) => at < head || at >= all.length - (letters - 1 - head));
}

/** The letters that are kept, dots for each run of those that are not. */
function kept(all: readonly string[], keep: (at: number) => boolean): string {
  return all.map((letter, at) => (keep(at) ? letter : keep(at - 1) ? DOTS : '')).join('');
}

/** With how many letters all begin, and with how many of the others they end. */
function alikeEnds(names: readonly (readonly string[])[]): [number, number] {
  const shortest = Math.min(...names.map((all) => all.length));
  const first = names[0]!;
  let start = 0;
  while (start < shortest && names.every((all) => all[start] === first[start])) start += 1;
  let end = 0;
  while (end < shortest - start && names.every((all) => all.at(-1 - end) === first.at(-1 - end))) {
    end += 1;
  }
  return [start, end];
}

const segmenter = new Intl.Segmenter();

/** Letters as a reader counts them, never half of one. */
function lettersOf(name: string): string[] {
  return Array.from(segmenter.segment(name), ({ segment }) => segment);
}
