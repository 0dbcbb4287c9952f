/** A refusal that is about HTTP rather than about tasks. Its message is shown to the client. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly statusCode: number;

  constructor(statusCode: number, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.statusCode = statusCode;
  }
}
