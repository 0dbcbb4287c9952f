/** What `make test` runs shortened, `make faults` runs in full: rounds, amounts, durations. */
export function scaled<T>(short: T, full: T): T {
  return process.env.FAULTS === 'full' ? full : short;
}
