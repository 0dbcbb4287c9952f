import { createHash } from 'node:crypto';
import type { FastifyPluginAsync } from 'fastify';

/** `/`: what this is, and the way to everything else. One page, nothing loaded from anywhere. */
export function landingPage(): FastifyPluginAsync {
  return async (app) => {
    app.get('/', async (request, reply) => {
      reply.header('content-security-policy', CONTENT_SECURITY_POLICY);
      return reply.type('text/html; charset=utf-8').send(page(request.host));
    });
  };
}

const LINKS = [
  ['/graphql', 'GraphiQL', 'Queries, mutations, live subscriptions'],
  ['/docs', 'REST', 'Every endpoint, to read and to try'],
  ['/openapi.json', 'OpenAPI 3.1', 'The REST API for machines'],
  ['/health', 'Health', 'Are PostgreSQL and RabbitMQ there?'],
];

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#4f46e5"/><path d="M9 10h14M9 16h9M9 22h5" stroke="#fff" stroke-width="3" stroke-linecap="round"/><circle cx="22" cy="21" r="3" fill="#a5f3c4"/></svg>`;

const STYLE = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#f7f7fb, #111218);
  --card: light-dark(#fff, #1b1d27);
  --line: light-dark(#dfe0ea, #30333f);
  --text: light-dark(#1b1d27, #eceef5);
  --quiet: light-dark(#565a6b, #a6aabb);
  --accent: light-dark(#4338ca, #a5b4fc);
}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; padding: clamp(1.5rem, 6vw, 5rem) 1.25rem;
  background: var(--ground); color: var(--text); font: 1rem/1.55 system-ui, sans-serif;
}
main { max-width: 46rem; margin: 0 auto; }
header { display: flex; gap: 1rem; align-items: center; }
header svg { width: 3rem; flex: none; }
h1 { margin: 0; font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.2; letter-spacing: -0.02em; }
h2 { margin: 2.5rem 0 0.75rem; font-size: 1.05rem; }
.lead { margin: 1.25rem 0 2rem; color: var(--quiet); font-size: 1.1rem; }
nav ul { display: grid; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr)); gap: 0.9rem; margin: 0; padding: 0; list-style: none; }
nav a {
  display: block; height: 100%; padding: 1rem 1.15rem; border: 1px solid var(--line); border-radius: 0.8rem;
  background: var(--card); color: var(--quiet); text-decoration: none;
}
nav a:hover, nav a:focus-visible { border-color: var(--accent); }
nav strong { display: block; color: var(--accent); font-size: 1.05rem; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
pre {
  margin: 0; padding: 1rem 1.15rem; overflow-x: auto; border: 1px solid var(--line); border-radius: 0.8rem;
  background: var(--card); font: 0.9rem/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 0.95em; }
p.after { color: var(--quiet); }
`;

/** @param host under which the reader came here, so that the example can be pasted as it is */
function page(host: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="Hand over work, and watch it live.">
<title>async-task-manager</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(ICON)}">
<style>${STYLE}</style>
</head>
<body>
<main>
<header>${ICON.replace('<svg', '<svg aria-hidden="true"')}<h1>async-task-manager</h1></header>
<p class="lead">Hand over work by GraphQL or curl, have it run by priority, and watch it live.</p>
<nav aria-label="Parts of the service"><ul>
${LINKS.map(([href, name, about]) => `<li><a href="${href}"><strong>${name}</strong>${about}</a></li>`).join('\n')}
</ul></nav>
<h2 id="create">Create a task</h2>
<pre tabindex="0" aria-labelledby="create" role="region"><code>${escapeHtml(curl(host))}</code></pre>
<p class="after">The answer has the task’s <code>id</code>: ask for it at <code>/api/v1/tasks/{id}</code>, or
subscribe to <code>taskStatusChanged</code> in GraphiQL and be told.</p>
</main>
</body>
</html>
`;
}

function curl(host: string): string {
  return `curl -s ${host}/api/v1/tasks/ \\
  -H 'content-type: application/json' \\
  -d '{"title": "Say hello", "priority": "HIGH"}'`;
}

const CONTENT_SECURITY_POLICY = `default-src 'none'; img-src data:; style-src 'sha256-${sha256(STYLE)}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}
