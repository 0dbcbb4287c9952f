import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';

/** Processor time that a process has used so far, in milliseconds; not a number where there is no `/proc`. */
export async function cpuMs(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // Its name may hold blanks, and ends with the last bracket.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  const [user, system] = [fields[11], fields[12]];
  return (Number(user) + Number(system)) * MS_PER_TICK;
}

const MS_PER_TICK = 10;

/** The same of all processes of this machine together. */
export function machineCpuMs(): number {
  return cpus().reduce(
    (sum, { times }) => sum + times.user + times.nice + times.sys + times.irq,
    0,
  );
}

/** Bytes of memory that a process has in RAM; not a number where there is no `/proc`. */
export async function residentBytes(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/VmRSS:\s+(\d+)/.exec(text)?.[1]) * 1_024;
}
