const SHORTEST_PAUSE_MS = 3000;
const LONGEST_PAUSE_MS = 15000;

/**
 * Calls back again and again while a reader can see this page, less and less often as long as
 * it says that nothing was new. Returns how to stop.
 */
export function whileSeen(callback: () => Promise<boolean>): () => void {
  let pause = SHORTEST_PAUSE_MS;
  let timer: ReturnType<typeof setTimeout>;
  const next = (): void => {
    timer = setTimeout(() => {
      // TensorBoard keeps the frames of other tabs, without height.
      const seen = document.visibilityState === 'visible' && window.innerHeight > 0;
      if (!seen) return next();
      void callback().then((isNew) => {
        pause = isNew ? SHORTEST_PAUSE_MS : Math.min(pause * 1.25, LONGEST_PAUSE_MS);
        next();
      });
    }, pause);
  };
  next();
  return () => clearTimeout(timer);
}
