/** A statement. PostgreSQL prepares it once per connection when it has a name. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
}

/** Where statements run: any connection of the pool, or the one of a transaction. */
export interface Sql {
  /** @throws AppError SERVICE_UNAVAILABLE when the database cannot be reached or stays silent */
  run<Row extends object>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
}
