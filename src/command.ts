import { flushCompileCache } from 'node:module';
import { type App, startApp } from './app.ts';
import { collectGarbage } from './collect-garbage.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { createLogger } from './logger.ts';
import { type StopSignal, stopOnSignal } from './shutdown.ts';
import { handlers } from './worker/handlers/registry.ts';

/** What the command line asks for: runs a process of the role it names, until a signal ends it. */
export async function run(): Promise<void> {
  const config = readConfigOrExit();
  const log = createLogger({ level: config.logLevel, pretty: process.stdout.isTTY });
  const stopping = new AbortController();
  const { signal } = stopping;
  const starting = startApp({ config, handlers, log, signal });
  async function stop(cause: StopSignal) {
    stopping.abort();
    const app = await starting.catch(() => undefined);
    // Who presses Ctrl-C waits for it, and is the only client as a rule.
    await app?.stop({ notice: cause === 'SIGTERM' });
  }
  stopOnSignal(stop, log);
  try {
    const app = await starting;
    log.info({ role: config.role, url: app.url }, 'started');
    // Now, since a process that is killed writes nothing at its end.
    flushCompileCache();
    collectGarbage();
    if (config.role === 'all') process.stdout.write(greeting(config, app));
  } catch (error) {
    // Told to stop while it waited: that is no failure, and whoever told it ends the process.
    if (signal.aborted && error === signal.reason) return;
    const reason = error instanceof Error ? error.message : String(error);
    log.fatal(`could not start: ${reason}`);
    log.debug({ err: error }, 'in full');
    process.exit(1);
  }
}

function readConfigOrExit(): Config {
  try {
    return readConfig();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`The environment is not right:\n${error.message}\n`);
    return process.exit(1);
  }
}

/** What is where, and something to try. */
function greeting({ databaseUrl, rabbitmqUrl }: Config, { url }: App): string {
  const database = databaseUrl === undefined ? 'embedded PostgreSQL, data in .data/' : 'PostgreSQL';
  const broker = rabbitmqUrl === undefined ? 'in-process broker' : 'RabbitMQ';
  return `
  async-task-manager runs on ${url}  (${database}; ${broker})

  GraphiQL   ${url}/graphql
  REST docs  ${url}/docs
  Health     ${url}/health

  Try it:    curl -X POST ${url}/api/v1/tasks/ -H 'content-type: application/json' -d '{"title":"Hello","priority":"HIGH"}'
  Stop:      Ctrl-C

`;
}
