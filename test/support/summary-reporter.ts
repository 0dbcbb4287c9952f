import type { Reporter, TestModule } from 'vitest/node';

/** Of each failure: where only the end of a log is kept, all of them are to be in it. */
const LINES_TOLD = 4;

/** Ends the run with what failed, in short, and one plain line that a script can read. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const failures: string[] = [];
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state, errors = [] } = test.result();
        counts[state === 'pending' ? 'skipped' : state] += 1;
        if (state === 'failed')
          failures.push(told(`${module.relativeModuleId}: ${test.fullName}`, errors));
      }
      const errors = module.errors();
      if (module.ok() || errors.length === 0) continue;
      counts.failed += 1;
      failures.push(told(module.relativeModuleId, errors));
    }
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
    process.stdout.write(
      `\n${failures.join('')}\n${counts.passed} passed, ${counts.failed} failed${skipped}\n`,
    );
  }
}

function told(name: string, errors: readonly { message: string }[]): string {
  const lines = errors.flatMap(({ message }) => message.split('\n').slice(0, LINES_TOLD));
  return `failed: ${name}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
