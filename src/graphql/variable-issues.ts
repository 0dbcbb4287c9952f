import {
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  type GraphQLLeafType,
  getOperationAST,
  isEnumType,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  isRequiredInputField,
  typeFromAST,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { badInput, type InputIssue } from '../domain/errors.ts';
import { MAX_ISSUES } from '../domain/parse.ts';
import { argumentPath } from './argument-path.ts';

/**
 * Variables that do not fit their type: one error BAD_USER_INPUT with an issue for each, by its path from the argument,
 * up to a hundred. Asked for before the executor finds out, which would quote the whole value with each of fifty errors:
 * seconds for a large one.
 */
export function useVariableIssues(): Plugin {
  return {
    onExecute: refuseBadVariables,
    onSubscribe: refuseBadVariables,
  };
}

function refuseBadVariables(operation: {
  args: ExecutionArgs;
  setResultAndStopExecution(result: ExecutionResult): void;
}): void {
  const issues = issuesOfVariables(operation.args);
  if (issues.length > 0) operation.setResultAndStopExecution(refusal(issues));
}

function refusal(issues: readonly InputIssue[]): ExecutionResult {
  const { message, code } = badInput(issues);
  const extensions = { code, issues, http: { spec: true, status: 400 } };
  return { errors: [new GraphQLError(message, { extensions })] };
}

function issuesOfVariables(args: ExecutionArgs): InputIssue[] {
  const { document, operationName, schema } = args;
  const values = args.variableValues ?? {};
  const definitions = getOperationAST(document, operationName)?.variableDefinitions ?? [];
  const found: Found = { issues: [], path: [] };
  for (const { variable, type, defaultValue } of definitions) {
    const name = variable.name.value;
    // Not what every object inherits.
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    const inputType = typeFromAST(schema, type);
    if (!isInputType(inputType) || (value === undefined && defaultValue)) continue;
    const before = found.issues.length;
    find(value, inputType, found);
    if (found.issues.length === before) continue;
    const start = argumentPath(document, name);
    for (const issue of found.issues.slice(before)) issue.path = [...start, ...issue.path];
  }
  return found.issues;
}

/** What has been found so far, and where the search is: in place, since most of what it passes has nothing wrong. */
interface Found {
  readonly issues: InputIssue[];
  readonly path: (string | number)[];
}

function find(value: unknown, type: GraphQLInputType, found: Found): void {
  if (found.issues.length >= MAX_ISSUES) return;
  if (isNonNullType(type)) {
    if (value == null) note(found, 'is required');
    else find(value, type.ofType, found);
  } else if (value == null) {
    return;
  } else if (isListType(type)) {
    if (Array.isArray(value)) findInList(value, type.ofType, found);
    else find(value, type.ofType, found);
  } else if (isInputObjectType(type)) {
    if (typeof value !== 'object' || Array.isArray(value)) note(found, 'must be an object');
    else findInObject(value as Readonly<Record<string, unknown>>, type, found);
  } else {
    const message = problemOf(value, type);
    if (message !== undefined) note(found, message);
  }
}

function findInList(items: readonly unknown[], type: GraphQLInputType, found: Found): void {
  for (let index = 0; index < items.length; index += 1) {
    found.path.push(index);
    find(items[index], type, found);
    found.path.pop();
    if (found.issues.length >= MAX_ISSUES) return;
  }
}

function findInObject(
  value: Readonly<Record<string, unknown>>,
  type: GraphQLInputObjectType,
  found: Found,
): void {
  const fields = type.getFields();
  for (const name in value) {
    if (Object.hasOwn(fields, name) || !Object.hasOwn(value, name)) continue;
    found.path.push(name);
    note(found, 'is not a known field');
    found.path.pop();
    if (found.issues.length >= MAX_ISSUES) return;
  }
  for (const name in fields) {
    const field = fields[name];
    const isGiven = Object.hasOwn(value, name);
    if (field === undefined || !(isGiven || isRequiredInputField(field))) continue;
    found.path.push(name);
    find(isGiven ? value[name] : undefined, field.type, found);
    found.path.pop();
  }
}

function note({ issues, path }: Found, message: string): void {
  issues.push({ path: [...path], message });
}

function problemOf(value: unknown, type: GraphQLLeafType): string | undefined {
  if (isEnumType(type)) {
    const names = type.getValues().map(({ name }) => name);
    return names.some((name) => name === value) ? undefined : `must be one of ${names.join(', ')}`;
  }
  try {
    return type.parseValue(value) === undefined ? `must be of type ${type.name}` : undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
