/**
 * What TensorBoard tells the frames of its plugins, over a MessagePort that the frame offers.
 * Every message must be answered, or TensorBoard waits for ever.
 */

const VERSION = 'experimental';

interface Message {
  type: string;
  id: number;
  payload: unknown;
  error: string | null;
  isReply: boolean;
}

/** Calls back when runs come or go and when the reader presses reload. */
export function onDataChanged(callback: () => void): void {
  if (window.parent === window) return;
  const { port1, port2 } = new MessageChannel();
  port1.addEventListener('message', (event: MessageEvent<string>) => {
    const message = JSON.parse(event.data) as Message;
    if (message.isReply) return;
    port1.postMessage(
      JSON.stringify({ ...message, payload: null, error: null, isReply: true } satisfies Message),
    );
    if (message.type === `${VERSION}.RunsChanged` || message.type === `${VERSION}.DataReloaded`) {
      callback();
    }
  });
  port1.start();
  window.parent.postMessage(`${VERSION}.bootstrap`, '*', [port2]);
}
