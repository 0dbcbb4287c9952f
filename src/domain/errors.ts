/** One thing wrong with the input. `path` leads to it: keys and indexes from the root of what the client sent. */
export interface InputIssue {
  path: readonly (string | number)[];
  message: string;
}

/** What can go wrong for a client, by the code it sees in GraphQL's `extensions.code`. */
export type TaskErrorCode =
  | 'BAD_USER_INPUT'
  | 'TASK_NOT_FOUND'
  | 'TASK_NOT_CANCELLABLE'
  | 'TASK_NOT_RETRYABLE'
  | 'IDEMPOTENCY_CONFLICT'
  | 'SERVICE_UNAVAILABLE'
  | 'LAGGED'
  | 'CURSOR_EXPIRED';

/** A failure that the client is told about as it is: a code for machines, a sentence for people. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: TaskErrorCode;
  /** Only with BAD_USER_INPUT: everything that is wrong, not just the first. */
  readonly issues: readonly InputIssue[];
  /** Only with LAGGED: where to go on; undefined when nothing had been seen. */
  readonly cursor: string | undefined;

  constructor(
    code: TaskErrorCode,
    message: string,
    options: { cause?: unknown; issues?: readonly InputIssue[]; cursor?: string | undefined } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.issues = options.issues ?? [];
    this.cursor = options.cursor;
  }
}

export function badInput(issues: readonly InputIssue[]): AppError {
  const said = issues.map(({ path, message }) =>
    path.length === 0 ? message : `${formatPath(path)}: ${message}`,
  );
  return new AppError('BAD_USER_INPUT', said.join('; '), { issues });
}

/** A cursor that no change has got to yet: there is no telling what would come after it. */
export function aheadOfAll(): AppError {
  return badInput([{ path: ['after'], message: 'is ahead of every change that there is' }]);
}

export function taskNotFound(id: string): AppError {
  return new AppError('TASK_NOT_FOUND', `There is no task ${id}.`);
}

export function serviceUnavailable(what: string, cause: unknown): AppError {
  return new AppError('SERVICE_UNAVAILABLE', `${what} is not reachable. Try again shortly.`, {
    cause,
  });
}

/** Whether nothing is wrong with what was asked for: it may be asked again. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof AppError && error.code === 'SERVICE_UNAVAILABLE';
}

export function cursorExpired(): AppError {
  return new AppError(
    'CURSOR_EXPIRED',
    'Some of what came after this cursor has been deleted. Subscribe again without `after`, and read anew what you show.',
  );
}

/** `['input', 3, 'title']` → `input[3].title` */
export function formatPath(path: readonly (string | number)[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? key : `${text}.${key}`;
  }, '');
}
