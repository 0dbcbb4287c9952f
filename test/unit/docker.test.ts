import { globSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { parseConfig, ROLES } from '../../src/config.ts';

const OURS = ['migrate', 'api', 'worker'];

describe('docker-compose.yml', () => {
  const { services, volumes } = compose();

  test('migrates once both have what they need, before the API and the workers start', () => {
    expect(service('migrate').depends_on).toEqual({ postgres: { condition: 'service_healthy' } });
    for (const name of ['api', 'worker']) {
      expect(service(name).depends_on, name).toEqual({
        postgres: { condition: 'service_healthy' },
        rabbitmq: { condition: 'service_healthy' },
        migrate: { condition: 'service_completed_successfully' },
      });
    }
    expect(service('migrate').restart).toBe('no');
  });

  test('has a health check for whatever another service, or `up --wait`, waits for', () => {
    for (const [name, { depends_on }] of Object.entries(services)) {
      for (const [needed, { condition }] of Object.entries(depends_on)) {
        const waits = condition === 'service_healthy';
        expect(service(needed).healthcheck !== undefined, `${name} on ${needed}`).toBe(waits);
      }
    }
    expect(service('api').healthcheck?.test.join(' ')).toContain(':8000/health/ready');
    expect(service('postgres').healthcheck?.test).toContain('--host=127.0.0.1');
  });

  test('shows every port to this machine only', () => {
    const ports = Object.values(services).flatMap((one) => one.ports);
    expect(ports.sort()).toEqual([
      '127.0.0.1:15672:15672',
      '127.0.0.1:5432:5432',
      '127.0.0.1:5672:5672',
      '127.0.0.1:8000:8000',
    ]);
    const moved = compose({ PORT: '8001' }).services.api?.ports;
    expect(moved).toEqual(['127.0.0.1:8001:8000']);
  });

  test('lets workers be scaled', () => {
    expect(service('worker').ports).toEqual([]);
    expect(service('worker').container_name).toBeUndefined();
  });

  test('gives the API and the workers an environment that they accept', () => {
    const shared = {
      databaseUrl: 'postgresql://tasks:tasks@postgres:5432/tasks',
      rabbitmqUrl: 'amqp://tasks:tasks@rabbitmq:5672',
      logLevel: 'info',
      shutdownGraceMs: 20_000,
    };
    expect(parseConfig('worker', service('worker').environment)).toMatchObject(shared);
    expect(parseConfig('api', service('api').environment)).toMatchObject({
      ...shared,
      host: '0.0.0.0',
      port: 8_000,
    });
  });

  test('passes no variable that the service does not know, and knows the passwords by one name', () => {
    const known = Object.keys(parseEnv(readFileSync('.env.example', 'utf8')));
    for (const name of OURS) {
      expect(known, name).toEqual(expect.arrayContaining(Object.keys(service(name).environment)));
    }
    const secret = compose({ POSTGRES_PASSWORD: 'elephant', RABBITMQ_PASSWORD: 'rabbit' }).services;
    for (const name of OURS) {
      expect(secret[name]?.environment.DATABASE_URL, name).toContain(':elephant@');
      expect(secret[name]?.environment.RABBITMQ_URL, name).toContain(':rabbit@');
    }
    expect(secret.postgres?.environment.POSTGRES_PASSWORD).toBe('elephant');
    expect(secret.rabbitmq?.environment.RABBITMQ_DEFAULT_PASS).toBe('rabbit');
  });

  test('passes WORKER_CONCURRENCY and LOG_LEVEL through to the workers', () => {
    const set = { WORKER_CONCURRENCY: 'HIGH=4,LOW=2', LOG_LEVEL: 'debug' };
    const environment = compose(set).services.worker?.environment ?? {};
    expect(parseConfig('worker', environment)).toMatchObject({
      slots: { HIGH: 4, MEDIUM: 1, LOW: 2 },
      logLevel: 'debug',
    });
  });

  test('kills nobody before the time to drain is over, and lets signals arrive', () => {
    for (const name of ['api', 'worker']) {
      const { environment, stop_grace_period, init } = service(name);
      const grace = Number(environment.SHUTDOWN_GRACE_SECONDS);
      expect(Number(stop_grace_period?.replace(/s$/, '')), name).toBeGreaterThanOrEqual(grace + 5);
      expect(init, name).toBe(true);
    }
  });

  test('takes from our containers what they do not need', () => {
    for (const name of OURS) {
      const { read_only, cap_drop, security_opt } = service(name);
      expect({ read_only, cap_drop, security_opt }, name).toEqual({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      });
    }
  });

  test('builds the image once and pulls it from nowhere', () => {
    const builders = OURS.filter((name) => service(name).build !== undefined);
    expect(builders).toEqual(['migrate']);
    expect(new Set(OURS.map((name) => service(name).image)).size).toBe(1);
    for (const name of ['api', 'worker']) expect(service(name).pull_policy, name).toBe('never');
  });

  test('keeps the data of both servers in named volumes', () => {
    // PostgreSQL 18 and later: the parent of the folder that holds the data.
    expect(service('postgres').volumes).toEqual(['postgres:/var/lib/postgresql']);
    expect(service('rabbitmq').volumes).toEqual(['rabbitmq:/var/lib/rabbitmq']);
    expect(service('rabbitmq').hostname).toBe('rabbitmq');
    expect(Object.keys(volumes)).toEqual(['postgres', 'rabbitmq']);
  });

  test('starts what the image has', () => {
    expect(service('migrate').entrypoint).toEqual(['node', 'dist/migrate.js']);
    expect(globSync('src/migrate.ts')).toEqual(['src/migrate.ts']);
    for (const name of ['api', 'worker']) {
      expect(service(name).command, name).toEqual([name]);
      expect(ROLES, name).toContain(name);
    }
  });

  function service(name: string) {
    const found = services[name];
    if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
    return found;
  }
});

describe('the Dockerfile', () => {
  const stages = dockerfile();
  const runtime = stages.runtime ?? [];

  test('runs as an account that owns nothing of it', () => {
    const user = runtime.indexOf('USER node');
    expect(user).toBeGreaterThan(-1);
    expect(runtime.slice(user + 1).filter((line) => /^(USER|COPY|ADD|RUN) /.test(line))).toEqual(
      [],
    );
    expect(runtime.join('\n')).not.toContain('--chown');
  });

  test('starts main with the role as its argument, and gets the signal', () => {
    expect(runtime).toContain('ENTRYPOINT ["node", "--max-semi-space-size=16", "dist/main.js"]');
    expect(runtime).toContain('CMD ["all"]');
    expect(runtime).toContain('STOPSIGNAL SIGTERM');
  });

  test('takes from the build its result only, and its modules from a stage without development dependencies', () => {
    const copies = runtime.filter((line) => line.startsWith('COPY '));
    expect(copies).toEqual([
      'COPY package.json ./',
      'COPY --from=modules /app/node_modules node_modules',
      'COPY prisma/migrations prisma/migrations',
      'COPY --from=build /app/dist dist',
    ]);
    const installs = stages.modules?.filter((line) => line.includes('npm ci'));
    expect(installs).toEqual(['RUN npm ci --omit=dev --omit=optional --ignore-scripts']);
  });

  test('needs no BuildKit', () => {
    const lines = Object.values(stages).flat();
    expect(lines.filter((line) => /--mount|--link|--chmod|<</.test(line))).toEqual([]);
    expect(readFileSync('Dockerfile', 'utf8')).not.toMatch(/^# syntax=/);
  });

  test('has Node 24 in every stage', () => {
    const text = readFileSync('Dockerfile', 'utf8');
    expect(text).toMatch(/^ARG NODE_IMAGE=node:24-/m);
    expect([...text.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image)).toEqual([
      `\${NODE_IMAGE}`,
      `\${NODE_IMAGE}`,
      `\${NODE_IMAGE}`,
    ]);
  });

  test('is sent all that it copies, and nothing private', () => {
    const copied = Object.values(stages)
      .flat()
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(' ').slice(1, -1));
    expect(copied.filter((path) => !isSent(path))).toEqual([]);
    const kept = ['.env', '.data/postgres', '.git/config', 'node_modules/pg', 'src/generated/x.ts'];
    expect(kept.filter(isSent)).toEqual([]);
  });
});

describe('the production dependencies', () => {
  test('are all that src imports', () => {
    const manifest = z
      .object({ dependencies: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readFileSync('package.json', 'utf8')));
    const imported = globSync('src/**/*.ts', { exclude: ['src/generated/**'] }).flatMap((path) =>
      packagesOf(readFileSync(path, 'utf8')),
    );
    expect(imported.length).toBeGreaterThan(10);
    const missing = imported.filter((name) => !(name in manifest.dependencies));
    expect([...new Set(missing)]).toEqual([]);
  });
});

/** The packages that a module loads when it runs; those it takes only types from do not matter. */
function packagesOf(text: string): string[] {
  const imports = text.matchAll(/(?:^|\n)(?:import|export) (?!type )[^;]*?from '([^.'][^']*)'/g);
  const dynamic = text.matchAll(/await import\('([^.'][^']*)'\)/g);
  return [...imports, ...dynamic]
    .map(([, specifier]) => String(specifier))
    .filter((specifier) => !specifier.startsWith('node:'))
    .map((specifier) => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier);
}

/** The instructions of each stage, a continued one on one line. */
function dockerfile(): Record<string, string[]> {
  const lines = readFileSync('Dockerfile', 'utf8')
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n');
  const stages: Record<string, string[]> = {};
  let stage: string[] = [];
  for (const line of lines) {
    const name = /^FROM \S+ AS (\S+)$/.exec(line)?.[1];
    if (name === undefined) stage.push(line);
    else stages[name] = stage = [];
  }
  return stages;
}

/** Whether Docker sends the path to the builder: as in .dockerignore, the last rule that matches it or a parent decides. */
function isSent(path: string): boolean {
  const rules = readFileSync('.dockerignore', 'utf8')
    .split('\n')
    .filter((rule) => rule !== '' && !rule.startsWith('#'));
  const last = rules.findLast((rule) => {
    const pattern = rule.replace(/^!/, '');
    return pattern === '*' || path === pattern || path.startsWith(`${pattern}/`);
  });
  return last === undefined || last.startsWith('!');
}

/** As Compose does it, variables are put into the values after the text has been parsed. */
function compose(variables: Record<string, string> = {}) {
  const fill = (_key: unknown, value: unknown) =>
    typeof value === 'string'
      ? value.replace(/\$\{(\w+):-([^}]*)\}/g, (_, name, fallback) => variables[name] || fallback)
      : value;
  return Compose.parse(parse(readFileSync('docker-compose.yml', 'utf8'), fill, { merge: true }));
}

const Strings = z.array(z.string());

const Compose = z.object({
  services: z.record(
    z.string(),
    z.object({
      image: z.string(),
      build: z.string().optional(),
      pull_policy: z.string().optional(),
      container_name: z.string().optional(),
      hostname: z.string().optional(),
      entrypoint: Strings.optional(),
      command: Strings.optional(),
      environment: z.record(z.string(), z.string()).default({}),
      depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
      ports: Strings.default([]),
      volumes: Strings.default([]),
      healthcheck: z.object({ test: Strings }).optional(),
      restart: z.string(),
      stop_grace_period: z.string().optional(),
      init: z.boolean().optional(),
      read_only: z.boolean().optional(),
      cap_drop: Strings.optional(),
      security_opt: Strings.optional(),
    }),
  ),
  volumes: z.record(z.string(), z.null()),
});
