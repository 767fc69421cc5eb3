import type { Request } from './arrange';
import type { Layout } from './place';
import type { Answer } from './worker';

export type Placer = (request: Request) => Promise<Layout>;

/** Lays out in a worker, so that a large graph does not freeze the page. */
export function workerPlacer(): Placer {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  const waiting = new Map<
    number,
    { resolve: (layout: Layout) => void; reject: (error: Error) => void }
  >();
  let count = 0;
  worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
    const promise = waiting.get(data.id);
    waiting.delete(data.id);
    if ('layout' in data) promise?.resolve(data.layout);
    else promise?.reject(new Error(data.error));
  });
  worker.addEventListener('error', (event) => {
    for (const { reject } of waiting.values()) reject(new Error(event.message));
    waiting.clear();
  });
  return (request) =>
    new Promise((resolve, reject) => {
      const id = count++;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, request });
    });
}
