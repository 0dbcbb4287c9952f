import type { TaskHandlers } from '../handler.ts';
import { simulate } from './simulate.ts';

/** The task types of this service. A new one is a file beside this one and a line here. */
export const handlers = { simulate } satisfies TaskHandlers;
