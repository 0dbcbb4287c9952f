import {
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  type GraphQLInputType,
  getOperationAST,
  isEnumType,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  typeFromAST,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { badInput, type InputIssue } from '../domain/errors.ts';
import { argumentPath } from './argument-path.ts';

type Path = readonly (string | number)[];

/**
 * Variables that do not fit their type: one error BAD_USER_INPUT with an issue for each, by its path from the
 * argument. The executor has found out that something is wrong; this finds out what, so good requests pay nothing.
 */
export function useVariableIssues(): Plugin {
  return {
    onExecute: ({ args }) => ({
      onExecuteDone({ result, setResult }) {
        if (refusedBeforeStart(result)) setResult(withIssues(args, result));
      },
    }),
    onSubscribe: ({ args }) => ({
      onSubscribeResult({ result, setResult }) {
        if (refusedBeforeStart(result)) setResult(withIssues(args, result));
      },
    }),
  };
}

function refusedBeforeStart(result: unknown): result is ExecutionResult {
  return typeof result === 'object' && result !== null && 'errors' in result && !('data' in result);
}

function withIssues(args: ExecutionArgs, result: ExecutionResult): ExecutionResult {
  const issues = issuesOfVariables(args);
  if (issues.length === 0) return result;
  const { message, code } = badInput(issues);
  const extensions = { code, issues, http: { spec: true, status: 400 } };
  return { errors: [new GraphQLError(message, { extensions })] };
}

function issuesOfVariables({ document, operationName, schema, variableValues }: ExecutionArgs) {
  const definitions = getOperationAST(document, operationName)?.variableDefinitions ?? [];
  return definitions.flatMap(({ variable, type, defaultValue }): InputIssue[] => {
    const name = variable.name.value;
    const value = variableValues?.[name];
    const inputType = typeFromAST(schema, type);
    if (!isInputType(inputType) || (value === undefined && defaultValue)) return [];
    return issuesOf(value, inputType, argumentPath(document, name));
  });
}

function issuesOf(value: unknown, type: GraphQLInputType, path: Path): InputIssue[] {
  const issue = (message: string) => [{ path: [...path], message }];
  if (isNonNullType(type)) {
    return value == null ? issue('is required') : issuesOf(value, type.ofType, path);
  }
  if (value == null) return [];
  if (isListType(type)) {
    if (!Array.isArray(value)) return issuesOf(value, type.ofType, path);
    return value.flatMap((item, index) => issuesOf(item, type.ofType, [...path, index]));
  }
  if (isInputObjectType(type)) {
    if (typeof value !== 'object' || Array.isArray(value)) return issue('must be an object');
    const given = new Map<string, unknown>(Object.entries(value));
    const fields = type.getFields();
    const unknown = [...given.keys()].filter((name) => !Object.hasOwn(fields, name));
    return [
      ...unknown.map((name) => ({ path: [...path, name], message: 'is not a known field' })),
      ...Object.values(fields).flatMap((field) => {
        return issuesOf(given.get(field.name), field.type, [...path, field.name]);
      }),
    ];
  }
  if (isEnumType(type)) {
    const names = type.getValues().map(({ name }) => name);
    return names.some((name) => name === value) ? [] : issue(`must be one of ${names.join(', ')}`);
  }
  try {
    return type.parseValue(value) === undefined ? issue(`must be of type ${type.name}`) : [];
  } catch (error) {
    return issue(error instanceof Error ? error.message : String(error));
  }
}
