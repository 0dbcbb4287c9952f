import { z } from 'zod';

/**
 * The JSON Schema of what is sent (`input`) or answered (`output`), with all that its `meta` says.
 *
 * Zod leaves out defaults and examples where a schema transforms its input, since they might be those of the output;
 * ours are always those of the side that is shown.
 */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): object {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, {
    io,
    // What is any JSON has no schema of its own.
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema }) {
      Object.assign(jsonSchema, z.globalRegistry.get(zodSchema));
      // A regular expression of five lines that says the same as the format.
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      // An answer may gain fields.
      if (io === 'output') delete jsonSchema.additionalProperties;
    },
  });
  return json;
}
