import { builder } from './builder.ts';

export const BulkResultRef = builder.objectRef<{ count: number }>('BulkResult').implement({
  description: 'What a change of many tasks came to.',
  fields: (t) => ({
    count: t.exposeInt('count', { description: 'How many tasks it changed.' }),
  }),
});
