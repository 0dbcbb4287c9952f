import type { GraphQLSchema } from 'graphql';
import { builder } from './builder.ts';
import './scalars.ts';
import './task-enums.ts';
import './task.ts';
import './task-event.ts';
import './task-connection.ts';
import './create-task.ts';
import './cancel-task.ts';
import './retry-task.ts';
import './task-status-changed.ts';
import './tasks-changed.ts';
import './task-progressed.ts';
import './task-stats-changed.ts';

/** The whole schema, executable with a `GraphqlContext`. Opens nothing. */
export function createSchema(): GraphQLSchema {
  // In the order of the files: a reader wants the title before the time it was queued.
  return builder.toSchema({ sortSchema: false });
}
