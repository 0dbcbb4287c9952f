/** A statement. PostgreSQL prepares it once per connection when it has a name. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
}

/** A statement and the values of its parameters, as PostgreSQL takes them. */
export interface Request {
  readonly statement: Statement;
  readonly values: readonly (string | null)[];
}

/** Where statements run: any connection of the pool, or the one of a transaction. */
export interface Sql {
  /** @throws AppError SERVICE_UNAVAILABLE when the database cannot be reached or stays silent */
  run<Row extends object>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
  /**
   * Runs statements with names one after the other in one transaction and mostly one round trip.
   * Not there where a transaction is under way. @returns the rows of each @throws as `run` does
   */
  runTogether?(requests: readonly Request[]): Promise<object[][]>;
}
