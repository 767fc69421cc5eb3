const EVERY_MS = 3000;

/** Calls back again and again while a reader can see this page. Returns how to stop. */
export function whileSeen(callback: () => Promise<void>): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const next = (): void => {
    timer = setTimeout(() => {
      // TensorBoard keeps the frames of other tabs, without height.
      const seen = document.visibilityState === 'visible' && window.innerHeight > 0;
      (seen ? callback() : Promise.resolve()).finally(next);
    }, EVERY_MS);
  };
  next();
  return () => clearTimeout(timer);
}
