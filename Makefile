# Skadi. `make` alone says what there is.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PKG     := github.com/letserverrun/skadi
# The commit is put in by hand, so that a build from a shallow clone or in a
# container without git works too.
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null)
DIRTY   := $(shell test -z "$$(git status --porcelain 2>/dev/null)" || echo +dirty)
LDFLAGS := -s -w $(if $(COMMIT),-X $(PKG)/cli.commit=$(COMMIT)$(DIRTY))
LINT    := go tool -modfile=.ci/lint.mod golangci-lint

# What the tests run besides Go, as "command:package" of Debian and Ubuntu, or
# "file:package". gcc is for -race. Of MariaDB only the programs are needed; the package of
# Redis also sets up a service, where the system runs such, that listens on
# this machine only and that the tests do not use. Postfix gets no configuration,
# and so starts nothing. Of systemd a program alone is run, which reads units; the
# package does not make it what starts the system.
NEEDS := curl:curl jq:jq gcc:gcc node:nodejs npm:npm \
	mariadbd:mariadb-server-core my_print_defaults:mariadb-client-core \
	/usr/lib/galera/libgalera_smm.so:galera-4 \
	redis-server:redis-server redis-cli:redis-tools \
	dovecot:dovecot-imapd postfix:postfix swaks:swaks systemd-analyze:systemd

# Runs of each fuzz target. A time such as 1m works too, but go test then fails
# now and then for no reason but the end of that time.
FUZZTIME ?= 20000x

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build ./dist/skadi and ./dist/agentd
	go build -trimpath -ldflags '$(LDFLAGS)' -o dist/skadi .
	go build -trimpath -ldflags '-s -w $(if $(COMMIT),-X main.commit=$(COMMIT)$(DIRTY))' -o dist/agentd ./agentd

.PHONY: cross
cross: ## Check that agentd builds for every platform it runs on
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "agentd $$os/$$arch"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -o /dev/null ./agentd; \
	done; done

# What `make dist` builds for; VERSION is the tag, or what comes before it.
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
VERSION   ?= $(shell git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null || \
	git log -1 --format='v0.0.0-dev.%cd.%h' --date=format:%Y%m%d%H%M 2>/dev/null || echo v0.0.0-dev)

.PHONY: dist
dist: ## Build archives for PLATFORMS, Debian packages and checksums into ./dist/VERSION
	VERSION='$(VERSION)' COMMIT='$(COMMIT)$(DIRTY)' SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct 2>/dev/null || echo 0)" \
		packaging/dist.sh 'dist/$(VERSION)' $(PLATFORMS)

.PHONY: test
test: needs ## Run every test with the race detector, and count them
	SKADI_TEST_REQUIRE=1 go run ./internal/testcount . bench -- -race -timeout 20m ./...

# How long the soak lasts.
SOAK ?= 15m

.PHONY: soak
soak: needs ## Kill nodes under load for SOAK (15m) long, and print the figures
	SKADI_TEST_REQUIRE=1 SKADI_TEST_SOAK=$(SOAK) go test -count 1 -timeout 12h -v -run '^TestSoak$$' ./cli/e2e/cluster

.PHONY: needs
needs: ## Install what the tests run besides Go
	@missing=; for need in $(NEEDS); do \
		PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v "$${need%%:*}" >/dev/null || [ -e "$${need%%:*}" ] || missing="$$missing $${need##*:}"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then echo "The tests need:$$missing. Please install them." >&2; exit 1; fi; \
	if [ "$$(id -u)" = 0 ]; then sudo=; \
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo="sudo -n"; \
	else echo "The tests need packages. Please run: sudo apt-get install$$missing" >&2; exit 1; fi; \
	$$sudo apt-get update -q; \
	echo "postfix postfix/main_mailer_type select No configuration" | $$sudo debconf-set-selections; \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing

.PHONY: lint
lint: ## Run the linters (builds golangci-lint the first time)
	$(LINT) run --allow-parallel-runners ./...
	cd bench && go tool -modfile=../.ci/lint.mod golangci-lint run --allow-parallel-runners -c ../.golangci.yml ./...
	cd docs/example-adapter && go tool -modfile=../../.ci/lint.mod golangci-lint run --allow-parallel-runners -c ../../.golangci.yml ./...

.PHONY: fmt
fmt: ## Format the tree
	$(LINT) fmt ./...

.PHONY: fmt-check
fmt-check: ## Fail if a file is not formatted
	$(LINT) fmt --diff ./...

.PHONY: generate
generate: ## Write the generated files anew
	go generate ./...

.PHONY: bench
bench: ## Measure beside asynq and river in the same run (needs redis-server, mariadb-server, postgresql)
	cd bench && go run . $(BENCH_ARGS)

.PHONY: fuzz
fuzz: ## Run every fuzz target FUZZTIME (20000x) long
	@go test -list '^Fuzz' ./... | awk '/^Fuzz/ {f[n++]=$$1} /^ok/ {for (i=0;i<n;i++) print $$2, f[i]; n=0}' | \
	while read -r pkg target; do \
		echo "== $$pkg $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$pkg"; \
	done

.PHONY: profile
profile: ## Profile a busy server anew for the compiler (default.pgo; see go.dev/doc/pgo)
	d=$$(mktemp -d) && cd bench && go build -trimpath -pgo=off -o $$d/profiled ./profiled && \
	for kind in plain confirmed batch; do \
		SKADI_CPUPROFILE=$$d/cpu go run . -only life -runs 1 -jobs 60000 -kinds $$kind -skadi $$d/profiled; \
	done && SKADI_CPUPROFILE=$$d/cpu go run . -only production -runs 2 -jobs 60000 -kinds mysql -skadi $$d/profiled && \
	go tool pprof -proto $$d/cpu.* > ../default.pgo && rm -r $$d
