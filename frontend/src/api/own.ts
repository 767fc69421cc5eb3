/** Values that are there without being computed: a report's, and a user's own alignments. */
import type { Job } from './types';

/** What the name of a measure begins with that is a user's own alignment. */
const OWN = 'own:';

/** Whether a measure is a user's own numbers, of which no interval and no null is known. */
export function isOwn(measure: string | null): measure is string {
  return measure?.startsWith(OWN) ?? false;
}

/** The name that the user gave it. */
export function nameOfOwn(measure: string): string {
  return measure.slice(OWN.length);
}

/** A comparison that has nothing to wait for. */
export function done(id: string): Job {
  return {
    id,
    kind: 'similarity',
    status: 'done',
    state: 'done',
    fraction: 1,
    message: '',
    position: null,
    cached: true,
    items: [],
    look: 'exact',
    revision: 1,
    known: null,
    error: null,
  };
}

/** Little-endian float64 in base64. */
export function decode(base64: string): Float64Array {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Float64Array(bytes.buffer);
}
