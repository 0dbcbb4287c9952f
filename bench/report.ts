import type { Figures } from './rounds.ts';

/** What `make bench` writes. */
export interface Report {
  /** When, as RFC 3339 text. */
  at: string;
  machine: Readonly<Record<string, string>>;
  rounds: number;
  /** By name. A scenario may say more than this. */
  scenarios: Readonly<Record<string, { results?: readonly { name: string; median: Figures }[] }>>;
}
