# Every target runs from a fresh clone; what the environment sets is passed through, e.g. `PORT=8001 make start`.
.DEFAULT_GOAL := help
.PHONY: help start test up down logs api-only migrate dev worker lint format typecheck typecheck-bench codegen bench bench-streams bench-chart profile faults soak

# The Node of package.json, whatever the machine has.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

# Where memory is plentiful, V8 lets young objects fill 128 MiB before it looks at them; half a second of load does that.
SERVICE := node --max-semi-space-size=16 src/main.ts

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

start: node_modules ## API and worker in one process on an embedded PostgreSQL: http://localhost:8000
	@exec $(SERVICE)

test: node_modules ## The whole test suite; starts what it needs
	@npm test --silent

up: ## Docker Compose: migrate, then API, worker, PostgreSQL and RabbitMQ
	docker compose up --build --detach --wait

down: ## Stop what `make up` started; the data stays
	docker compose --profile '*' down

logs: ## Follow the logs of `make up`
	docker compose logs --follow

api-only: ## Only PostgreSQL and RabbitMQ, through Docker Compose
	docker compose up --detach --wait postgres rabbitmq

migrate: node_modules ## Apply pending migrations to DATABASE_URL
	@prisma migrate deploy

dev: node_modules ## API with reload on change
	@exec node --watch --watch-path=src src/main.ts api

worker: node_modules ## A worker in the foreground
	@exec $(SERVICE) worker

lint: node_modules ## Check style and likely mistakes
	@npm run --silent lint

format: node_modules ## Put the code into shape
	@npm run --silent format

typecheck: node_modules ## Check the types
	@npm run --silent typecheck

typecheck-bench: node_modules bench/node_modules ## The same for what measures it
	@npm run --silent typecheck --prefix bench

codegen: node_modules ## Write schema.graphql and the typed documents
	@npm run --silent codegen

bench: node_modules bench/node_modules ## Measure this service beside its rivals: ARGS='--only drain --rounds 3'
	@exec node bench/run.ts $(ARGS)

bench-streams: node_modules bench/node_modules ## Measure the live stream: fan-out, latency, and a subscriber that stalls
	@exec node bench/streams.ts $(ARGS)

bench-chart: node_modules ## Draw the results of the last `make bench` for the README
	@exec node bench/chart.ts $(ARGS)

profile: node_modules bench/node_modules ## Where the api spends its time under load, or ROLE=worker
	@exec node bench/profile.ts $(ROLE) $(ARGS)

soak: node_modules ## Ten minutes of load while things break; then every task is accounted for
	@npm run --silent soak

faults: node_modules ## The fault tests of the suite at full length: 20 crashes, 5,000 creates, minutes of sleep
	@npm run --silent faults

node_modules: node_modules/.package-lock.json src/generated/pothos-types.ts

src/generated/pothos-types.ts: prisma/schema.prisma | node_modules/.package-lock.json
	@npm run --silent generate
	@touch $@

# The rivals have a package of their own: none of them is a dependency of this one.
bench/node_modules: bench/node_modules/.package-lock.json

bench/node_modules/.package-lock.json: bench/package.json bench/package-lock.json
	@echo 'Installing what to compare with...'
	@npm ci --prefix bench --loglevel=error
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json
	@echo 'Installing dependencies...'
	@npm ci --loglevel=error
	@touch $@
