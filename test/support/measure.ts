/** Prints a figure that a test has measured; what must hold is asserted apart from it. */
export function report(figure: string): void {
  process.stdout.write(`  measured: ${figure}\n`);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
