# Everything a developer does, one command each. Needs Go and make; a target that
# needs more says so.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# ENGINE is the database of the tests: auto, server (an installed mysqld or
# mariadbd) or embedded (TiDB, built on first use).
ENGINE ?= auto
# PKG narrows the tests, ARGS adds arguments: make test PKG=./internal/job ARGS='-run Name -v'
PKG ?= ./...
ARGS ?=

# The functions' architecture, as go spells it: arm64 (deployed) or amd64.
LAMBDA_ARCH ?= arm64
LAMBDA_FUNCTIONS := api tick executor migrate
LAMBDA_BUILD = CGO_ENABLED=0 GOOS=linux GOARCH=$(LAMBDA_ARCH) go build -tags lambda.norpc -trimpath -ldflags '-s -w'

TOOL := go tool -modfile=tools/go.mod
TESTDB = go run ./infra/local/testdb -engine $(ENGINE) --

##@ Develop

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-zA-Z_-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Run the whole system on this machine, database included (reads .env; the environment comes first)
	@echo '… building (the first time takes about a minute)'
	@go build -o .build/local ./infra/local
	@given=$$(export -p); set -a; if [ -f .env ]; then . ./.env; fi; set +a; eval "$$given"; exec .build/local

.PHONY: bench
bench: ## Measure it on this machine (docs/benchmarks.md)
	go run ./infra/local/bench $(ARGS)

.PHONY: bench-cold-start
bench-cold-start: ## Start the built functions as Lambda does, and measure (ENGINE=, ARGS='-starts 1')
	@$(MAKE) --no-print-directory build LAMBDA_ARCH=$$(go env GOHOSTARCH)
	$(TESTDB) go run ./infra/local/coldstart $(ARGS)

# JOBS and EXECUTIONS are what is stored; DIR is the data directory of a database
# to start, else DB_HOST and the like name one.
JOBS ?= 100000
EXECUTIONS ?= 10000000
DIR ?=

.PHONY: repair-rollups
repair-rollups: ## Count the history anew and put right the summaries that differ (DIR=, or DB_HOST and the like)
	go run ./infra/local/repairrollups -dir '$(DIR)'

.PHONY: rotate-secrets
rotate-secrets: ## Seal every stored secret under a fresh key (DIR=, or DB_HOST and the like with SECRETS_KEY_ARN or SECRETS_KEY_FILE)
	go run ./infra/local/rotatesecrets -dir '$(DIR)'

.PHONY: seed-large
seed-large: ## Fill a database with JOBS and EXECUTIONS (DIR=, or DB_HOST and the like)
	go run ./infra/local/seedlarge -jobs $(JOBS) -executions $(EXECUTIONS) -dir '$(DIR)'

.PHONY: bench-api
bench-api: ## Measure the API's reads on what seed-large made (DIR=, ARGS=)
	go run ./infra/local/benchapi -dir '$(DIR)' $(ARGS)

# SEEDS is how many days to simulate; ARGS adds arguments: make simulate ARGS='-seed 42'
SEEDS ?= 100

.PHONY: simulate
simulate: ## Live through many simulated bad days of the delivery protocol (SEEDS=, ARGS=)
	$(TESTDB) go run ./infra/local/simulate -seeds $(SEEDS) $(ARGS)

.PHONY: generate
generate: ## Write the generated files anew
	go generate ./...

.PHONY: clean
clean: ## Remove what was built; local data stays
	rm -rf .build .aws-sam

##@ Check

.PHONY: test
test: ## Run the tests on a database (ENGINE=auto|server|embedded, PKG=, ARGS=)
	$(TESTDB) go test -timeout 30m $(ARGS) $(PKG)

.PHONY: test-race
test-race: ## Run the tests with the race detector (needs a C compiler)
	$(TESTDB) env CGO_ENABLED=1 go test -race -timeout 30m $(ARGS) $(PKG)

.PHONY: browser-test
browser-test: ## Follow the history in a real browser (installs chromium where apt can)
	@command -v chromium >/dev/null || { DEBIAN_FRONTEND=noninteractive apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends chromium >/dev/null; }
	BROWSER_TEST=required go test -count=1 -v $(ARGS) ./infra/local/browser

.PHONY: guards-short
guards-short: ## Remove each guard of the delivery protocol, on days known to need it (a minute)
	$(TESTDB) env GUARDS=known go test -count=1 -timeout 15m -v -run '^TestWith' $(ARGS) ./internal/simulation

.PHONY: guards
guards: ## Remove each guard and search for days that need it (some minutes)
	$(TESTDB) env GUARDS=search go test -count=1 -timeout 30m -v -run '^TestWith' $(ARGS) ./internal/simulation

.PHONY: chaos-short
chaos-short: ## Kill and cut off the real system in the quicker ways (a minute; ENGINE=, ARGS='-run Name')
	$(TESTDB) env CHAOS=short go test -count=1 -timeout 10m -v $(ARGS) ./infra/local/chaos

.PHONY: chaos
chaos: ## Kill and cut off the real system in many ways, and check its promises (half an hour; ENGINE=, ARGS='-run Name')
	$(TESTDB) go test -count=1 -timeout 60m -v $(ARGS) ./infra/local/chaos -full

.PHONY: fmt
fmt: ## Format the code
	$(TOOL) golangci-lint fmt

.PHONY: fmt-check
fmt-check: ## Fail where the code is not formatted
	$(TOOL) golangci-lint fmt --diff

.PHONY: lint
lint: ## Lint the code
	$(TOOL) golangci-lint run

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what is called
	@infra/attack/vuln.sh

.PHONY: leaks
leaks: ## Look for secrets in the tree and its history
	infra/attack/leaks.sh

.PHONY: timing
timing: ## Measure whether a sign-in's time tells that there is an account (ENGINE=)
	$(TESTDB) env TIMING=measure go test -count=1 -v $(ARGS) -run '^TestNoTimeTellsOfAnAccount$$' ./internal/httpapi

.PHONY: sqlmap
sqlmap: ## Let sqlmap look for a way into the database (needs Python)
	infra/contract/with-system.sh infra/attack/sqlmap.sh

.PHONY: tidy-check
tidy-check: ## Fail where go.mod or go.sum is not tidy
	go mod tidy -diff
	go -C tools mod tidy -diff
	go -C tools/leaks mod tidy -diff
	go -C infra/local/tidb mod tidy -diff

.PHONY: generate-check
generate-check: generate ## Fail where a generated file is stale
	@git diff --exit-code || { echo 'generated files are stale: run make generate and commit' >&2; exit 1; }
	@test -z "$$(git ls-files --others --exclude-standard)" || \
		{ git ls-files --others --exclude-standard; echo 'generated files are not committed' >&2; exit 1; }

.PHONY: templates
templates: ## Check the AWS templates for every environment (needs python3)
	infra/check-templates.sh
	infra/seed-template-faults.sh

.PHONY: sam-test
sam-test: ## Run the functions in their containers, by sam local (root on Debian, needs python3; ENGINE=)
	ENGINE=$(ENGINE) infra/samlocal/run.sh $(ARGS)

.PHONY: lint-api
lint-api: ## Lint the OpenAPI document (needs Node.js)
	infra/contract/lint.sh

# EXAMPLES is how many requests are generated for each operation and phase.
EXAMPLES ?= 15

.PHONY: contract
contract: ## Try the running API against its OpenAPI document (needs Python; EXAMPLES=, ARGS='--phases stateful')
	infra/contract/with-system.sh infra/contract/try.sh --max-examples $(EXAMPLES) $(ARGS)

.PHONY: client-check
client-check: ## Compile and run the typed TypeScript client's sample (needs Node.js)
	infra/contract/with-system.sh infra/contract/client-check.sh

.PHONY: ci
ci: ## Run everything that CI runs
	.ci/run

##@ Build

.PHONY: build
build: $(addprefix build-,$(LAMBDA_FUNCTIONS)) ## Build the four functions (LAMBDA_ARCH=arm64|amd64) into .build

.PHONY: $(addprefix build-,$(LAMBDA_FUNCTIONS))
$(addprefix build-,$(LAMBDA_FUNCTIONS)): build-%:
	$(LAMBDA_BUILD) -o .build/$(LAMBDA_ARCH)/$*/bootstrap ./functions/$*

.PHONY: deploy
deploy: ## Bring an environment up to date: ENV=dev|staging|prod (needs the sam and aws commands)
	go run ./infra/deploy $(or $(ENV),$(error name the environment: make deploy ENV=dev))

.PHONY: destroy
destroy: ## Delete an environment, after asking: ENV=dev|staging|prod; the database is kept
	go run ./infra/deploy destroy $(or $(ENV),$(error name the environment: make destroy ENV=dev))

.PHONY: cost
cost: ## Estimate dollars a month: JOBS=1000 ARGS='-every 1m -duration 500ms' (-h tells the rest; docs/cost.md)
	@go run ./infra/cost -jobs $(JOBS) $(ARGS)

.PHONY: logs
logs: ## Follow what an environment logs: ENV=dev|staging|prod (SINCE=10m)
	infra/logs.sh '$(ENV)' $(or $(SINCE),10m)

.PHONY: tail-execution
tail-execution: ## Print the story of one execution from the logs: ENV= ID=
	infra/logs.sh '$(ENV)' execution '$(ID)'

.PHONY: sam-build
sam-build: ## Build for sam local, for this machine's processor (needs the sam command)
	infra/sam-local.sh build

.PHONY: sam-local
sam-local: ## Serve the API from its container, with MySQL and a stand-in for SQS (needs sam and Docker; PORT=)
	infra/sam-local.sh start-api

.PHONY: sam-invoke
sam-invoke: ## Invoke a function in its container: FUNCTION=Tick EVENT=minute (needs sam and Docker)
	infra/sam-local.sh invoke '$(FUNCTION)' '$(EVENT)'

# What `sam build` calls: one target for each function's logical id.
.PHONY: build-ApiFunction build-TickFunction build-ExecutorFunction build-MigrateFunction
build-ApiFunction: FUNCTION = api
build-TickFunction: FUNCTION = tick
build-ExecutorFunction: FUNCTION = executor
build-MigrateFunction: FUNCTION = migrate
build-ApiFunction build-TickFunction build-ExecutorFunction build-MigrateFunction:
	$(LAMBDA_BUILD) -o '$(ARTIFACTS_DIR)/bootstrap' ./functions/$(FUNCTION)
