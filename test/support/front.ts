import { expect, onTestFinished, vi } from 'vitest';
import { startTcpProxy } from './tcp-proxy.ts';

/** The address that clients know. Behind it is one API or another, and on the way anything can happen. */
export interface Front {
  readonly url: string;
  /** Breaks all connections. */
  cut(): void;
  /** Lets nothing pass and tells nobody, until `resume`. */
  stall(): void;
  resume(): void;
  /** Resolves when so many are connected. */
  reached(count: number): Promise<void>;
  /** Refuses everybody, and leads to the API at this URL once `meanwhile` is done. */
  lead(toUrl: string, meanwhile: () => Promise<unknown>): Promise<void>;
}

/** Closed when the test ends. */
export async function openFront(apiUrl: string): Promise<Front> {
  let proxy = await startTcpProxy({ targetPort: portOf(apiUrl) });
  const { port } = proxy;
  onTestFinished(() => proxy.close());
  return {
    url: `http://127.0.0.1:${port}`,
    cut: () => proxy.cut(),
    stall: () => proxy.stall(),
    resume: () => proxy.resume(),
    reached: (count) =>
      vi.waitFor(() => expect(proxy.connections).toBeGreaterThanOrEqual(count), {
        timeout: 20_000,
        interval: 20,
      }),
    async lead(toUrl, meanwhile) {
      await proxy.close();
      await meanwhile();
      proxy = await startTcpProxy({ targetPort: portOf(toUrl), port });
    },
  };
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}
