SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

GO          ?= go
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
MODULE      := github.com/kamald/kamald

PROXIES     := drivers/proxy/binaries/kamald-proxy-linux-
ARCHES      := amd64 arm64
DIST        ?= dist
DIST_ARCHES ?= amd64,arm64
DIST_KINDS  ?= tar,deb,rpm,image

# Packages whose tests use the lab share its hosts, so they come last and one at a time.
LAB_TESTS    = $(shell $(GO) list -f '{{$$lab := eq .ImportPath "$(MODULE)/lab"}}{{range .TestImports}}{{if eq . "$(MODULE)/lab"}}{{$$lab = true}}{{end}}{{end}}{{range .XTestImports}}{{if eq . "$(MODULE)/lab"}}{{$$lab = true}}{{end}}{{end}}{{if $$lab}}{{.ImportPath}}{{end}}' ./...)
OTHER_TESTS  = $(FIRST_TESTS) $(filter-out $(LAB_TESTS) $(PLAIN_TESTS) $(FIRST_TESTS),$(shell $(GO) list ./...))
# Those that wait most of their time, for leases and time limits, begin first, so that others have the processors meanwhile.
FIRST_TESTS  = $(addprefix $(MODULE)/,state/etcd proxy)
# Packages that start no goroutine, which a test holds them to: the race detector has nothing to find there.
PLAIN_TESTS  = $(addprefix $(MODULE)/,release release/kamal release/kamal/ruby state)

# A result of before is no answer where a pipeline asks, nor where servers stand behind the test.
TESTFLAGS   ?= $(if $(CI),-count=1)
RACE        ?= -race
# All that is compiled here has the same flags, so that it is compiled once: programs without C, tests with the race detector.
TOOL         = CGO_ENABLED=0 $(GO)
export GOFLAGS += -trimpath
# A program with the race detector waits for a second when it ends, and tests start many.
export GORACE = atexit_sleep_ms=0
TIMEOUT     ?= 40m
LAB_TIMEOUT ?= 60m
FUZZTIME    ?= 2m

.PHONY: help build proxies dist dist-check demo pictures test long fuzz soak lint fmt lab-up lab-down bench bench-proxy clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

build: proxies ## bin/kamald, with the proxy for linux amd64 and arm64 inside
	$(TOOL) build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/kamald ./cmd/kamald

# No commit is stamped into the proxies: the same source gives the same image. A file that did not change is left alone,
# so that nothing that embeds it is built again.
proxies:
	@for arch in $(ARCHES); do \
		file=$(PROXIES)$$arch; \
		echo "CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build ./cmd/kamald-proxy > $$file.gz"; \
		GOOS=linux GOARCH=$$arch $(TOOL) build -buildvcs=false -ldflags '-s -w' -o "$$file.new" ./cmd/kamald-proxy; \
		gzip -9nf "$$file.new"; \
		if cmp -s "$$file.new.gz" "$$file.gz"; then rm "$$file.new.gz"; else mv "$$file.new.gz" "$$file.gz"; fi; \
	done

# The time of a release is its commit's, so that whoever builds it gets the same bytes.
dist: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
dist: proxies ## what a release is given out as, in dist/: make dist VERSION=1.2.3 [DIST_ARCHES=amd64] [DIST_KINDS=tar]
	@$(TOOL) run ./packaging -version '$(if $(filter command line environment,$(origin VERSION)),$(VERSION))' -epoch "$$SOURCE_DATE_EPOCH" \
		-commit "$$(git rev-parse HEAD 2>/dev/null || true)" -arches $(DIST_ARCHES) -kinds $(DIST_KINDS) -out $(DIST)

dist-check: ## two clones in two places give the same archive and image
	@first=$$(mktemp -d); second=$$(mktemp -d); trap 'rm -rf "$$first" "$$second"' EXIT; \
	for place in "$$first/kamald" "$$second/elsewhere"; do \
		git clone -q . "$$place"; \
		$(MAKE) -s -C "$$place" dist VERSION=0.0.0-check DIST_ARCHES=amd64 DIST_KINDS=tar,image; \
	done; \
	diff "$$first/kamald/dist/SHA256SUMS" "$$second/elsewhere/dist/SHA256SUMS"; \
	echo 'both are the same'

demo: build ## the whole loop on this machine's Docker engine, in about a minute; cleans up after itself
	@$(TOOL) run ./lab/demo

pictures: export KAMALD_GOLDEN = 1
pictures: ## docs/pictures anew, of what the program writes to a terminal; on Linux
	$(TOOL) test ./cmd/kamald -run '^TestPictures' -count=1

# One after another: tests beside each other would wait for a processor, and time is short for what times out. What tests with
# servers run is another program, made without the race detector.
test: build ## every test, with the race detector; lists at the end what was not run
	@( \
		status=0; \
		$(GO) test $(RACE) $(TESTFLAGS) -timeout $(TIMEOUT) -json $(OTHER_TESTS) || status=$$?; \
		$(TOOL) test $(TESTFLAGS) -timeout $(TIMEOUT) -json $(PLAIN_TESTS) || status=$$?; \
		$(TOOL) test $(TESTFLAGS) -timeout $(LAB_TIMEOUT) -count=1 -p 1 -json $(LAB_TESTS) || status=$$?; \
		exit $$status \
	) | $(TOOL) run ./lab/cmd/testreport

long: export KAMALD_LONG = 1
long: export KAMALD_FIGURES = 1
long: ## the tests again with full counts, and without the race detector; writes the figures into docs
	$(MAKE) test RACE= TESTFLAGS=-count=1 TIMEOUT=120m LAB_TIMEOUT=120m
	$(MAKE) fuzz

fuzz: ## every fuzz test for a while, what was found is kept in its testdata: make fuzz FUZZTIME=10m
	@grep -rHo --include='*_test.go' '^func Fuzz\w*' . | while IFS=: read -r file target; do \
		echo "== $${file%/*} $${target#func }, $(FUZZTIME)"; \
		$(GO) test -run '^$$' -fuzz "^$${target#func }\$$" -fuzztime $(FUZZTIME) "$${file%/*}" </dev/null; \
	done

soak: export KAMALD_SOAK = $(if $(filter command line,$(origin SECONDS)),$(SECONDS),60)
soak: export KAMALD_FIGURES = 1
soak: ## random fleets and faults with new seeds: make soak SECONDS=3600
	$(GO) test ./reconcile -run '^TestSoak$$' -count=1 -timeout 0 -v | tee /dev/stderr | grep -q -- '--- PASS: TestSoak'

lint: ## gofmt, go vet, staticcheck
	@echo gofmt -l .
	@wrong=$$(gofmt -l .); if [ -n "$$wrong" ]; then printf 'not formatted, run `make fmt`:\n%s\n' "$$wrong" >&2; exit 1; fi
	$(TOOL) vet ./...
	$(TOOL) run $(STATICCHECK) ./...

fmt: ## format every Go file
	gofmt -w .

lab-up: ## three test hosts and a registry on this machine
	@$(TOOL) run ./lab/cmd/labctl up

lab-down: ## remove them
	@$(TOOL) run ./lab/cmd/labctl down

bench: build ## a release by kamald beside the bare engine calls for it, on the lab
	@$(TOOL) run ./bench

bench-proxy: ## kamald-proxy beside nginx and caddy (apt-get install nginx caddy) and the bare application
	@$(TOOL) build -o bin/proxyload ./bench/proxyload
	@bin/proxyload $(PROXYLOAD)

clean: ## what the build has made
	rm -rf bin dist $(PROXIES)*
