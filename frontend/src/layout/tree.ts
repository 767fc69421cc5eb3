import type { Box } from './condense';

/**
 * A graph read as a drawing: things in a row, branches above one another, and, where neither
 * fits, columns by depth.
 */
export type Tree =
  | { type: 'box'; id: string }
  | { type: 'series'; parts: Tree[] }
  | { type: 'parallel'; branches: Tree[]; skips: Edge[] }
  | { type: 'columns'; columns: string[][] };

export interface Edge {
  from: string;
  to: string;
}

/** Decompose by cut boxes: those that every path from the inputs to the outputs passes. */
export function readTree(boxes: readonly Box[]): Tree {
  const consumers = new Map<string, string[]>();
  for (const box of boxes) {
    for (const input of box.inputs) {
      const list = consumers.get(input);
      if (list) list.push(box.id);
      else consumers.set(input, [box.id]);
    }
  }
  const inputs = new Map(boxes.map((box) => [box.id, box.inputs]));
  return region(
    boxes.map((box) => box.id),
    inputs,
    consumers,
  );
}

type Links = ReadonlyMap<string, readonly string[]>;

/** `ids` in topological order; what lies outside counts as one source and one sink. */
function region(ids: readonly string[], inputs: Links, consumers: Links): Tree {
  if (ids.length === 1) return { type: 'box', id: ids[0]! };
  const positions = new Map(ids.map((id, index) => [id, index]));
  const last = ids.length;
  const spans: [number, number, Edge][] = [];
  for (const [index, id] of ids.entries()) {
    const before = inputs.get(id) ?? [];
    const after = consumers.get(id) ?? [];
    for (const from of before) spans.push([positions.get(from) ?? -1, index, { from, to: id }]);
    if (before.length === 0) spans.push([-1, index, { from: '', to: id }]);
    for (const to of after) if (!positions.has(to)) spans.push([index, last, { from: id, to }]);
    if (after.length === 0) spans.push([index, last, { from: id, to: '' }]);
  }
  const covered = new Int32Array(last + 1);
  for (const [from, to] of spans) {
    if (to - from > 1) {
      covered[from + 1]! += 1;
      covered[to]! -= 1;
    }
  }
  const cuts = [-1];
  for (let index = 0, over = 0; index < last; index++) {
    over += covered[index]!;
    if (over === 0) cuts.push(index);
  }
  cuts.push(last);

  const parts: Tree[] = [];
  for (let k = 0; k + 1 < cuts.length; k++) {
    const [start, end] = [cuts[k]!, cuts[k + 1]!];
    if (end - start > 1) {
      const interior = ids.slice(start + 1, end);
      const skips = spans
        .filter(([from, to]) => from === start && to === end)
        .map(([, , edge]) => edge)
        .filter((edge) => edge.from !== '' && edge.to !== '');
      const groups = components(interior, inputs);
      const irreducible = groups.length === 1 && interior.length === ids.length;
      if (irreducible) return { type: 'columns', columns: columns(ids, inputs) };
      const branches = groups.map((group) => region(group, inputs, consumers));
      parts.push(
        branches.length === 1 && skips.length === 0
          ? branches[0]!
          : { type: 'parallel', branches, skips },
      );
    }
    if (end < last) parts.push({ type: 'box', id: ids[end]! });
  }
  return parts.length === 1 ? parts[0]! : { type: 'series', parts };
}

/** Connected parts, in topological order inside and by first member among themselves. */
function components(ids: readonly string[], inputs: Links): string[][] {
  const root = new Map(ids.map((id) => [id, id]));
  const find = (id: string): string => {
    let top = id;
    while (root.get(top) !== top) top = root.get(top)!;
    root.set(id, top);
    return top;
  };
  for (const id of ids) {
    for (const input of inputs.get(id) ?? []) if (root.has(input)) root.set(find(id), find(input));
  }
  const parts = new Map<string, string[]>();
  for (const id of ids) {
    const top = find(id);
    const list = parts.get(top);
    if (list) list.push(id);
    else parts.set(top, [id]);
  }
  return [...parts.values()];
}

/** Columns by longest path, rows by the mean row of what comes before. */
function columns(ids: readonly string[], inputs: Links): string[][] {
  const depth = new Map<string, number>();
  const result: string[][] = [];
  for (const id of ids) {
    const before = (inputs.get(id) ?? []).map((input) => depth.get(input) ?? -1);
    const column = Math.max(-1, ...before) + 1;
    depth.set(id, column);
    (result[column] ??= []).push(id);
  }
  const row = new Map<string, number>();
  for (const column of result) {
    const wish = new Map(
      column.map((id, index) => {
        const rows = (inputs.get(id) ?? []).flatMap((input) => row.get(input) ?? []);
        return [id, rows.length ? rows.reduce((sum, r) => sum + r, 0) / rows.length : index];
      }),
    );
    column.sort((p, q) => wish.get(p)! - wish.get(q)!);
    column.forEach((id, index) => row.set(id, index - (column.length - 1) / 2));
  }
  return result;
}
