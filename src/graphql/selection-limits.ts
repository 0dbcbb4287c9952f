import {
  type ASTVisitor,
  type FieldNode,
  GraphQLError,
  type GraphQLField,
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
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from './page-size.ts';

/** Lists within lists: a page of tasks and the history of each. One more multiplies the answer and tells nothing new. */
const MAX_LIST_DEPTH = 2;
/** Selections of one operation, those of a fragment counted each time it is spread. */
const MAX_SELECTIONS = 2_000;
/** Items of all lists of an answer, if its pages are full. */
const MAX_ITEMS = 20_000;
/** Items of a list that has no pages, such as the history of a task: a guess, since nobody knows before it is read. */
const USUAL_ITEMS = 10;

/** Refuses operations whose answer could be immense: cycles through the graph, fields by the thousand, pages by the hundred. */
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
      const walk = { context, left: MAX_SELECTIONS, items: MAX_ITEMS };
      const problem = type && problemBelow(walk, operation.selectionSet, type, TOP);
      if (problem) context.reportError(new GraphQLError(problem, { nodes: operation }));
    },
  };
}

interface Walk {
  readonly context: ValidationContext;
  /** How many selections may still come. */
  left: number;
  /** How many items of lists may still come. */
  items: number;
}

/** Where in the answer a selection set is. */
interface Place {
  /** How many lists it is within. */
  readonly lists: number;
  /** How often it is answered at most. */
  readonly times: number;
  /** How many items a list has that is selected here; undefined where nothing tells. */
  readonly page: number | undefined;
}

const TOP: Place = { lists: 0, times: 1, page: undefined };

function problemBelow(
  walk: Walk,
  set: SelectionSetNode,
  type: GraphQLObjectType,
  { lists, times, page }: Place,
): string | undefined {
  for (const node of selectedFields(walk, set)) {
    const { name, selectionSet } = node;
    // Fields that no type has are reported by another rule; introspection is bounded by the schema.
    const field = type.getFields()[name.value];
    if (field === undefined || selectionSet === undefined) continue;
    const target = getNamedType(field.type);
    if (!isObjectType(target)) continue;
    const items = isList(field.type) ? (page ?? USUAL_ITEMS) : undefined;
    const place = {
      lists: items === undefined ? lists : lists + 1,
      times: times * (items ?? 1),
      page: pageOf(node, field),
    };
    if (place.lists > MAX_LIST_DEPTH) return `${name.value}: is a list within too many other lists`;
    if (items !== undefined) walk.items -= place.times;
    if (walk.items < 0) return `The operation asks for more than ${MAX_ITEMS} items in lists.`;
    const problem = problemBelow(walk, selectionSet, target, place);
    if (problem !== undefined) return problem;
  }
  return walk.left < 0 ? `The operation selects more than ${MAX_SELECTIONS} fields.` : undefined;
}

/** How many items the list below a connection has at most. A variable may say anything. */
function pageOf(node: FieldNode, { args }: GraphQLField<unknown, unknown>): number | undefined {
  if (!args.some(({ name }) => name === 'first')) return undefined;
  const given = node.arguments?.find(({ name }) => name.value === 'first' || name.value === 'last');
  if (given === undefined) return DEFAULT_PAGE_SIZE;
  const size = given.value.kind === Kind.INT ? Number(given.value.value) : MAX_PAGE_SIZE;
  // What is out of range is refused when it is executed.
  return Math.min(Math.max(size, 1), MAX_PAGE_SIZE);
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

function isList(type: GraphQLOutputType): boolean {
  return isListType(isNonNullType(type) ? type.ofType : type);
}
