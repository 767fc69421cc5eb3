import { arrange, type Request } from './arrange';
import type { Layout } from './place';

export type Answer = { id: number; layout: Layout } | { id: number; error: string };

self.addEventListener('message', (event: MessageEvent<{ id: number; request: Request }>) => {
  const { id, request } = event.data;
  let answer: Answer;
  try {
    answer = { id, layout: arrange(request) };
  } catch (thrown) {
    answer = { id, error: thrown instanceof Error ? thrown.message : String(thrown) };
  }
  self.postMessage(answer);
});
