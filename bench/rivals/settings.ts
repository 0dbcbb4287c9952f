/** What a process of a rival is told, through its environment. */
export interface RivalSettings {
  /** Of the queue, and the prefix in Redis. */
  name: string;
  databaseUrl: string;
  redisUrl: string;
  /** Whether each task is a row in PostgreSQL too, for lists, history and the status that clients ask for. */
  withRow: boolean;
  favour: 'throughput' | 'latency';
}

export function readSettings(): RivalSettings {
  return JSON.parse(process.env.BENCH_RIVAL ?? '{}');
}

export function toEnvironment(settings: RivalSettings): Record<string, string> {
  return { BENCH_RIVAL: JSON.stringify(settings) };
}
