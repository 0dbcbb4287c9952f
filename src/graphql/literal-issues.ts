import {
  type ASTVisitor,
  GraphQLError,
  type ValidationContext,
  ValuesOfCorrectTypeRule,
  validateInputLiteral,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { badInput } from '../domain/errors.ts';

/**
 * Literals that do not fit their type: graphql-js says what is wrong but not with which field. Puts the path from the
 * argument before the message and into `issues`.
 */
export function useLiteralIssues(): Plugin {
  return {
    onValidate({ validateFn, setValidationFn }) {
      setValidationFn((schema, document, rules, options) =>
        validateFn(schema, document, rules?.map(withPath), options),
      );
    },
  };
}

function withPath(rule: unknown) {
  return rule === ValuesOfCorrectTypeRule ? LiteralIssues : rule;
}

function LiteralIssues(context: ValidationContext): ASTVisitor {
  const standard = ValuesOfCorrectTypeRule(context);
  return {
    // The defaults of variables, which have no argument.
    ...standard,
    Argument(node) {
      const argument = context.getArgument();
      if (!argument) return false;
      validateInputLiteral(node.value, argument.type, ({ message, nodes }, path) => {
        const issues = [{ path: [argument.name, ...path], message }];
        const extensions = { code: 'GRAPHQL_VALIDATION_FAILED', issues };
        context.reportError(new GraphQLError(badInput(issues).message, { nodes, extensions }));
      });
      return false;
    },
  };
}
