import type { Result } from './rounds.ts';

/** What `make bench` writes. */
export interface Report {
  /** When, as RFC 3339 text. */
  at: string;
  machine: Readonly<Record<string, string>>;
  rounds: number;
  /** By name. */
  scenarios: Readonly<Record<string, ScenarioReport>>;
}

/** A scenario may say more than this. */
export interface ScenarioReport {
  results?: readonly Result[];
}
