import { type ASTNode, BREAK, type DocumentNode, Kind, visit } from 'graphql';

type Path = readonly (string | number)[];

/**
 * Where a variable stands in what the client asks for: the name of the argument that it is given to, and the way
 * down from there when it is only a part of that. Its own name when it is not used.
 */
export function argumentPath(document: DocumentNode, variable: string): Path {
  let found: Path = [variable];
  visit(document, {
    VariableDefinition: () => false,
    Variable(node, _key, parent, path, ancestors) {
      if (node.name.value !== variable) return undefined;
      found = pathBelowArgument(path, parent ? [...ancestors, parent] : ancestors);
      return BREAK;
    },
  });
  return found;
}

/** @param path the key of each ancestor's child, as the visitor tells it */
function pathBelowArgument(path: Path, ancestors: readonly (ASTNode | readonly ASTNode[])[]): Path {
  return ancestors.flatMap((ancestor, depth): Path => {
    if ('kind' in ancestor) {
      const named = ancestor.kind === Kind.ARGUMENT || ancestor.kind === Kind.OBJECT_FIELD;
      return named ? [ancestor.name.value] : [];
    }
    const list = ancestors[depth - 1];
    const index = path[depth];
    const isItem = list && 'kind' in list && list.kind === Kind.LIST && index !== undefined;
    return isItem ? [index] : [];
  });
}
