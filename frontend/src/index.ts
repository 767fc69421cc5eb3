/** What TensorBoard calls once its frame for this plugin has loaded. */
export async function render(): Promise<void> {
  const { start } = await import('./start');
  start(document.body);
}
