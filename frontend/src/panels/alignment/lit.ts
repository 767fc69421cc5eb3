import type { Table } from '../../align/matrix';
import { fan, reaching, type Pairs } from '../../align/select';
import { fraction, type Encoding } from '../../draw/encode';
import type { PlacedBox } from '../../layout/place';
import { OTHER } from '../../state/address';
import type { Side } from '../../state/session.svelte';

const MOST_FAN = 8;
const MOST_GLOW = 24;

/** The lines of one box: its strongest ones, and those that the rule draws anyway. */
export function linesOf(table: Table, lines: Pairs, side: Side, at: number, least: number): Pairs {
  const own = fan(table, lines, side, at, MOST_FAN);
  return own.subarray(own.length - reaching(table, own, least));
}

/** The boxes at the other ends of these lines, and how strongly each is lit. */
export function glowOf(
  table: Table,
  lit: Pairs,
  from: Side,
  boxes: Record<Side, readonly PlacedBox[]>,
  encoding: Encoding,
): { side: Side; box: PlacedBox; strength: number }[] {
  const side = OTHER[from];
  return [...lit.subarray(-MOST_GLOW)].flatMap((pair) => {
    const index = side === 'b' ? pair % table.columns : Math.floor(pair / table.columns);
    const box = boxes[side][index];
    const strength = 0.6 + 0.4 * (fraction(table.values[pair]!, encoding) || 0);
    return box ? [{ side, box, strength }] : [];
  });
}
