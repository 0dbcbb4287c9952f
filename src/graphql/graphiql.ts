import type { YogaServerOptions } from 'graphql-yoga';
import { EXAMPLE_OPERATIONS } from './example-operations.ts';

/** GraphiQL with everything in one page: nothing is loaded from elsewhere. Subscriptions go over WebSocket. */
export const graphiql = {
  graphiql: {
    title: 'async-task-manager',
    subscriptionsProtocol: 'WS',
    defaultTabs: EXAMPLE_OPERATIONS.map((tab) => ({ ...tab })),
  },
  renderGraphiQL: (options) => (page ??= render(options)),
} satisfies YogaServerOptions<object, object>;

type RenderOptions = Parameters<
  typeof import('@graphql-yoga/render-graphiql')['renderGraphiQL']
>[0];

/** The page has 9 MB, which nobody need carry before somebody looks at it, and is always the same. */
let page: Promise<string> | undefined;

async function render(options: RenderOptions): Promise<string> {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  return String(renderGraphiQL(options)).replace('</head>', `${TABS_FIX}$&`);
}

// GraphiQL 5 gives each of several default tabs an offset, which it hides until the tab is pressed: the tab then jumps
// from under the pointer and the click is lost.
const TABS_FIX = '<style>.graphiql-tab.graphiql-tab { transform: none !important; }</style>';
