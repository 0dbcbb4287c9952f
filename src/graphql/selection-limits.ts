import {
  type ASTVisitor,
  type FieldNode,
  GraphQLError,
  type GraphQLObjectType,
  type GraphQLOutputType,
  getNamedType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type SelectionSetNode,
  type ValidationContext,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';

/** Lists within lists: a page of tasks and the history of each. One more multiplies the answer and tells nothing new. */
const MAX_LIST_DEPTH = 2;
/** Selections of one operation, those of a fragment counted each time it is spread. */
const MAX_SELECTIONS = 2_000;

/** Refuses operations whose answer could be immense: cycles through the graph, and fields by the thousand. */
export function useSelectionLimits(): Plugin {
  return {
    onValidate({ addValidationRule }) {
      addValidationRule(SelectionLimits);
    },
  };
}

function SelectionLimits(context: ValidationContext): ASTVisitor {
  return {
    OperationDefinition(operation) {
      const type = context.getSchema().getRootType(operation.operation);
      const walk = { context, left: MAX_SELECTIONS };
      const problem = type && problemBelow(walk, operation.selectionSet, type, 0);
      if (problem) context.reportError(new GraphQLError(problem, { nodes: operation }));
    },
  };
}

interface Walk {
  readonly context: ValidationContext;
  /** How many selections may still come. */
  left: number;
}

function problemBelow(
  walk: Walk,
  set: SelectionSetNode,
  type: GraphQLObjectType,
  lists: number,
): string | undefined {
  for (const { name, selectionSet } of selectedFields(walk, set)) {
    // Fields that no type has are reported by another rule; introspection is bounded by the schema.
    const fieldType = type.getFields()[name.value]?.type;
    const target = fieldType && getNamedType(fieldType);
    if (!selectionSet || !isObjectType(target)) continue;
    const depth = lists + (isList(fieldType) ? 1 : 0);
    if (depth > MAX_LIST_DEPTH) return `${name.value}: is a list within too many other lists`;
    const problem = problemBelow(walk, selectionSet, target, depth);
    if (problem !== undefined) return problem;
  }
  return walk.left < 0 ? `The operation selects more than ${MAX_SELECTIONS} fields.` : undefined;
}

/** The fields of a selection set and of its fragments. The schema has no abstract types: all are on the same type. */
function* selectedFields(
  walk: Walk,
  { selections }: SelectionSetNode,
  spread: readonly string[] = [],
): Generator<FieldNode> {
  for (const selection of selections) {
    walk.left -= 1;
    if (walk.left < 0) return;
    if (selection.kind === Kind.FIELD) {
      yield selection;
    } else if (selection.kind === Kind.INLINE_FRAGMENT) {
      yield* selectedFields(walk, selection.selectionSet, spread);
    } else {
      const name = selection.name.value;
      const fragment = walk.context.getFragment(name);
      // Those that are missing or contain themselves are reported by another rule.
      if (fragment && !spread.includes(name)) {
        yield* selectedFields(walk, fragment.selectionSet, [...spread, name]);
      }
    }
  }
}

function isList(type: GraphQLOutputType | undefined): boolean {
  return isListType(isNonNullType(type) ? type.ofType : type);
}
