/** The reasons for which a worker gives a task back that none of its handlers has seen; kept with the events. */
export const SHUT_DOWN_BEFORE = 'The worker shut down before it ran the task.';
/** What the type of the task and a full stop come after. */
export const NO_HANDLER_FOR = 'This worker has no handler for ';

export function noHandlerFor(type: string): string {
  return `${NO_HANDLER_FOR}${type}.`;
}
