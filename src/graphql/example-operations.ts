/** What GraphiQL opens with: one tab each, in the order in which one would try them. */
export const EXAMPLE_OPERATIONS = [
  {
    query: `# Creates a task. Press the play button, then look
# at the other tabs.
mutation Create {
  createTask(input: { title: "Send the newsletter", priority: HIGH }) {
    id
    title
    priority
    status
    createdAt
  }
}
`,
  },
  {
    query: `# The newest tasks. To go on, give pageInfo.endCursor
# as "after".
query List($after: String) {
  tasks(first: 10, after: $after) {
    totalCount
    edges {
      node {
        id
        title
        priority
        status
        attempt
        createdAt
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`,
  },
  {
    query: `# Every change, live. Leave it running, and create
# tasks in the first tab. One task until it is done:
# taskStatusChanged(id: "…"). After a break give the
# last cursor: taskStatusChanged(after: "…")
subscription Watch {
  taskStatusChanged {
    cursor
    previousStatus
    status
    at
    task {
      id
      title
      attempt
      progress
      result
      error {
        message
      }
    }
  }
}
`,
  },
  {
    query: `# Cancels a task, running or not. Put the id of one
# of yours into the variables below.
mutation Cancel($id: ID!) {
  cancelTask(id: $id, reason: "Changed my mind") {
    id
    status
    events {
      version
      status
      reason
      at
    }
  }
}
`,
    variables: JSON.stringify({ id: '00000000-0000-7000-8000-000000000000' }, null, 2),
  },
] as const;
