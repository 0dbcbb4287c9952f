/**
 * Publishes so many messages, no more than `window` of them unconfirmed at a time.
 * @throws what RabbitMQ, or the link to it, said of the first that was not confirmed
 */
export function untilPublished(
  publish: (confirmed: (error?: unknown) => void) => void,
  count: number,
  window: number,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let sent = 0;
  let confirmed = 0;

  function fill(): void {
    while (sent < count && sent - confirmed < window) {
      sent += 1;
      publish(onConfirmed);
    }
  }

  function onConfirmed(error?: unknown): void {
    confirmed += 1;
    if (error) reject(error);
    else if (confirmed === count) resolve();
    else fill();
  }

  fill();
  return promise;
}
