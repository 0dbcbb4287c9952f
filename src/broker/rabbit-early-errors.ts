import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** What amqplib does not show. */
interface Connection extends EventEmitter {
  /** Reads what the server says from the end of the handshake on. */
  acceptLoop(): void;
}

let surviving = false;

/**
 * amqplib reads on before it hands a new connection over. What RabbitMQ says in the same breath as its welcome, such as
 * that it closes the connection, is then an 'error' that nobody can have listened to, and would end the process.
 */
export function surviveEarlyErrors(): void {
  if (surviving) return;
  surviving = true;
  const require = createRequire(import.meta.url);
  const path = join(dirname(require.resolve('amqplib')), 'lib/connection.js');
  const { Connection }: { Connection: { prototype: Connection } } = require(path);
  const { acceptLoop } = Connection.prototype;
  Connection.prototype.acceptLoop = function acceptLoopWithListener(this: Connection) {
    this.on('error', () => {});
    acceptLoop.call(this);
  };
}
