/**
 * The tab's state lives in the address of the page around it, so that it can be shared and
 * survives a reload. Other parts of the hash belong to TensorBoard and are left as they are.
 */

export type Parameters = Record<string, string>;

/** The window whose address the reader sees: TensorBoard's, or this one if it stands alone. */
function addressWindow(): Window {
  try {
    // Throws where the host is of another origin.
    return window.parent.location.hash === undefined ? window : window.parent;
  } catch {
    return window;
  }
}

/** `#modelcompare&a=x&b=y` → the tab's name and its parameters. */
export function parseHash(hash: string): { tab: string; parameters: Parameters } {
  let tab = '';
  const parameters: Parameters = {};
  for (const part of hash.replace(/^#/, '').split('&')) {
    const equals = part.indexOf('=');
    if (equals < 0) tab ||= decode(part);
    else parameters[decode(part.slice(0, equals))] = decode(part.slice(equals + 1));
  }
  return { tab, parameters };
}

/** The hash with `ours` set and with the keys in `owned` that `ours` lacks taken out. */
export function formatHash(hash: string, ours: Parameters, owned: readonly string[]): string {
  const { tab, parameters } = parseHash(hash);
  const foreign = Object.entries(parameters).filter(([key]) => !owned.includes(key));
  const pairs = [...foreign, ...Object.entries(ours)].map(
    ([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`,
  );
  return '#' + [encodeURIComponent(tab || 'modelcompare'), ...pairs].join('&');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function readHash(): Parameters {
  return parseHash(addressWindow().location.hash).parameters;
}

/** `push` makes a step that the back button undoes. */
export function writeHash(ours: Parameters, owned: readonly string[], push: boolean): void {
  const host = addressWindow();
  // A figure in a cell of a notebook has no address.
  if (host.location.protocol === 'about:') return;
  const { tab } = parseHash(host.location.hash);
  // Another tab is in front: the address is its own now.
  if (tab && tab !== 'modelcompare') return;
  const next = formatHash(host.location.hash, ours, owned);
  if (next === host.location.hash) return;
  if (push) host.history.pushState(host.history.state, '', next);
  else host.history.replaceState(host.history.state, '', next);
}

/** Calls back when the reader goes back or edits the address. Returns how to stop. */
export function watchHash(onChange: (parameters: Parameters) => void): () => void {
  const host = addressWindow();
  const listener = (): void => {
    const { tab, parameters } = parseHash(host.location.hash);
    if (!tab || tab === 'modelcompare') onChange(parameters);
  };
  host.addEventListener('popstate', listener);
  host.addEventListener('hashchange', listener);
  const stop = (): void => {
    host.removeEventListener('popstate', listener);
    host.removeEventListener('hashchange', listener);
  };
  window.addEventListener('pagehide', stop, { once: true });
  return stop;
}
