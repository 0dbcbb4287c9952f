/** Loaded into an API process before its own code: tells from inside what cannot be seen from outside. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type pg from 'pg';
import { serveCommands } from './commands.ts';

export type ProbeCommands = typeof commands;

// The one that the service uses: this folder has another for the rivals.
const require = createRequire(join(import.meta.dirname, '../../package.json'));
const { Client } = require('pg') as typeof pg;
const statements = new Map<string, number>();
const { query } = Client.prototype;

/** Counts each statement under its name, or what it begins with. */
Client.prototype.query = function count(
  this: pg.Client,
  ...args: [string | { name?: string; text: string }]
) {
  const [statement] = args;
  const text = typeof statement === 'string' ? statement : statement.text;
  const name = (typeof statement === 'object' && statement.name) || text.trim().slice(0, 20);
  statements.set(name, (statements.get(name) ?? 0) + 1);
  return Reflect.apply(query, this, args);
} as typeof query;

const commands = {
  /** How often each statement was sent so far. */
  statements: () => statements,
};

serveCommands(commands);
