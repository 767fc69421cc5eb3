/** What TensorBoard calls once its frame for this plugin has loaded. */
export async function render(): Promise<void> {
  try {
    const { start } = await import('./start');
    start(document.body);
  } catch (thrown) {
    // Chunks are named by their content: a server that outlived an upgrade has others.
    document.body.textContent =
      'The tab could not be loaded. If tb-modelcompare was upgraded while TensorBoard was ' +
      `running, start TensorBoard again. (${String(thrown)})`;
  }
}
