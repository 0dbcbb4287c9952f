import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { TASK_PRIORITIES, type TaskPriority } from './domain/task.ts';

/** What a process does: serve the APIs, run tasks, or both at once. */
export const ROLES = ['api', 'worker', 'all'] as const;
export type Role = (typeof ROLES)[number];

export interface Config {
  role: Role;
  /** Undefined: an embedded PostgreSQL. */
  databaseUrl: string | undefined;
  /** Undefined: the in-process broker. */
  rabbitmqUrl: string | undefined;
  /** Prefix of every exchange and queue: from `?namespace=` of the URL. */
  rabbitmqNamespace: string | undefined;
  host: string;
  port: number;
  logLevel: (typeof LOG_LEVELS)[number];
  /** How many tasks of each priority a worker runs at a time. */
  slots: Readonly<Record<TaskPriority, number>>;
  /** How long a stopping process waits for what it runs. */
  shutdownGraceMs: number;
}

/** Everything that is wrong with the environment, one line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** Reads the process's arguments and environment, `.env` included. @throws ConfigError */
export function readConfig(): Config {
  const envFile = fileURLToPath(new URL('../.env', import.meta.url));
  if (existsSync(envFile)) process.loadEnvFile(envFile);
  return parseConfig(process.argv[2], process.env);
}

/** @throws ConfigError that names every variable which is wrong and says what it should look like */
export function parseConfig(
  role: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Config {
  // An empty value is what compose files and shells make of an unset one.
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse({ ...set, role });
  const missing =
    role === 'api' || role === 'worker' ? NEEDED_APART.filter((name) => !(name in set)) : [];
  const problems = [...(parsed.error?.issues.map(toLine) ?? []), ...missing.map(toMissingLine)];
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems.join('\n'));
  const { data } = parsed;
  return {
    role: data.role,
    databaseUrl: data.DATABASE_URL,
    ...splitRabbitUrl(data.RABBITMQ_URL),
    host: data.HOST,
    port: data.PORT,
    logLevel: data.LOG_LEVEL,
    slots: data.WORKER_CONCURRENCY,
    shutdownGraceMs: data.SHUTDOWN_GRACE_SECONDS * 1_000,
  };
}

const ONE_EACH: Record<TaskPriority, number> = { HIGH: 1, MEDIUM: 1, LOW: 1 };

const schema = z.object({
  role: z.enum(ROLES, { error: 'The role must be api, worker or all' }).default('all'),
  DATABASE_URL: z
    .string()
    .transform((url) => url.replace(/^postgres(ql)?\+\w+:/, 'postgresql:'))
    .refine(hasScheme('postgresql:', 'postgres:'), {
      error: 'must look like postgresql://user:password@host:5432/database',
    })
    .optional(),
  RABBITMQ_URL: z
    .string()
    .refine(hasScheme('amqp:', 'amqps:'), {
      error: 'must look like amqp://user:password@host:5672/vhost',
    })
    .optional(),
  HOST: z.string().default('127.0.0.1'),
  PORT: number(0, 65_535).default(8_000),
  LOG_LEVEL: z
    .enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` })
    .default('info'),
  WORKER_CONCURRENCY: z.string().transform(parseSlots).default(ONE_EACH),
  SHUTDOWN_GRACE_SECONDS: number(0, 3_600).default(5),
});

/** What two processes must share, so that neither can make its own. */
const NEEDED_APART = ['DATABASE_URL', 'RABBITMQ_URL'] as const;

function toMissingLine(name: (typeof NEEDED_APART)[number]): string {
  return `${name} must be set for the roles api and worker (\`make api-only\` starts both servers). Without it only the role all works: \`make start\`.`;
}

function toLine({ path, message }: z.core.$ZodIssue): string {
  const [name] = path;
  return name === 'role' ? `${message}.` : `${String(name)} ${message}.`;
}

/** Several installations can share one virtual host, each under a namespace that its URL names. */
function splitRabbitUrl(text: string | undefined) {
  if (text === undefined) return { rabbitmqUrl: undefined, rabbitmqNamespace: undefined };
  const url = new URL(text);
  const rabbitmqNamespace = url.searchParams.get('namespace') ?? undefined;
  url.searchParams.delete('namespace');
  return { rabbitmqUrl: url.href, rabbitmqNamespace };
}

function hasScheme(...schemes: string[]) {
  return (url: string) => URL.canParse(url) && schemes.includes(new URL(url).protocol);
}

function number(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d+$/, { error, abort: true })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error });
}

/** `HIGH=4,LOW=1`: what is not named keeps one slot. */
function parseSlots(text: string, context: z.core.$RefinementCtx<string>) {
  const slots = { ...ONE_EACH };
  for (const part of text.split(',')) {
    const [name, count] = part.trim().split('=');
    const priority = TASK_PRIORITIES.find((one) => one === name);
    if (priority === undefined || count === undefined || !/^\d{1,4}$/.test(count)) {
      const message = 'must look like HIGH=1,MEDIUM=1,LOW=1, with whole numbers from 0 to 9999';
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
    slots[priority] = Number(count);
  }
  return slots;
}
