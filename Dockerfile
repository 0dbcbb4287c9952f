# One image for every role: `docker run … async-task-manager api|worker|all`, with DATABASE_URL and RABBITMQ_URL set.
# No BuildKit-only syntax: the cache that counts is that of the two `npm ci` layers, which only package*.json can spoil.

# To pin a digest or to use a mirror: --build-arg NODE_IMAGE=…
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without scripts: they would only fetch Node, which this image is, and native engines, which nothing here uses.
RUN npm ci --ignore-scripts
COPY prisma.config.ts tsconfig.json tsconfig.build.json ./
COPY prisma prisma
COPY src src
RUN npx prisma generate && npm run build

FROM ${NODE_IMAGE} AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# --omit=optional as well: to npm, Prisma's CLI and TypeScript are optional companions of @prisma/client.
RUN npm ci --omit=dev --omit=optional --ignore-scripts
# Prisma's query compiler comes for five databases, in two sizes and two module formats; the client loads one of the
# twenty. Together with declarations and source maps that is more than half of node_modules.
RUN find node_modules/@prisma/client/runtime -name 'query_compiler_*' \
      ! -name 'query_compiler_fast_bg.postgresql.mjs' \
      ! -name 'query_compiler_fast_bg.postgresql.wasm-base64.mjs' -delete \
    && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete

FROM ${NODE_IMAGE} AS runtime
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8000
WORKDIR /app
COPY package.json ./
COPY --from=modules /app/node_modules node_modules
# Applied by dist/migrate.js, in its own process, with Prisma's WebAssembly engine (5 MB; the CLI would be 250).
COPY prisma/migrations prisma/migrations
COPY --from=build /app/dist dist
# Every import must resolve among the production dependencies: rather fail here than at night.
RUN node --input-type=module --eval "await import('./dist/app.js'); \
      await import('@prisma/client/runtime/query_compiler_fast_bg.postgresql.mjs'); \
      await import('@prisma/client/runtime/query_compiler_fast_bg.postgresql.wasm-base64.mjs')"

# Nothing under /app belongs to this account, so that a process cannot rewrite itself.
USER node
EXPOSE 8000
STOPSIGNAL SIGTERM
# No HEALTHCHECK: a worker has no port. docker-compose.yml has the API's.
ENTRYPOINT ["node", "--max-semi-space-size=16", "dist/main.js"]
CMD ["all"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="async-task-manager" \
      org.opencontainers.image.description="Hand over work by GraphQL or curl, run it on workers by priority, and let every client watch it live." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
