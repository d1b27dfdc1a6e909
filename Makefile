# Murmuration's commands. `make help` lists them.
SHELL := /bin/bash
GO ?= go
NPM ?= npm
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X murmuration/node.Version=$(VERSION)
WEB := node/web
PAGE := node/shim/page/built
MODULES := $(WEB)/node_modules/.package-lock.json
# Rooms without goroutines are tested without the race detector, which finds nothing there and takes ten times as long.
# So are swarms of real nodes in virtual time: the race detector itself crashed in bubbles of so many goroutines (Go 1.26).
CALM := . ./chunker/... ./node/archive/unixfs/... ./playlist/... ./mesh/... ./sim ./sim/model ./sim/report ./sim/stack ./bench/...
SOCKETS := ^Test(OnLoopback|InitByRequest|LastChunkLeavesBeforeClose|JSSubscriber)$$
# RACY tests wait for each other's seconds more than they compute: hence four at once.
# These build kubo, an independent IPFS node, the first time: it is put off until the other tests leave the processors.
KUBO := ^TestKubo
RACY := ./cmd/... ./node ./node/archive ./node/archive/exchange ./node/archive/gateway ./node/ingest/... ./node/player/... ./node/shim/... ./sim/stack ./sim/trial

.PHONY: help demo build web test check unit e2e lint bench soak clean

help: ## list the commands
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: build ## an origin with a test picture, five seeds and a viewer, in one process; opens the page
	bin/murmur demo

build: web ## bin/murmur, with the page where npm is installed
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/murmur ./cmd/murmur

web: $(PAGE)/index.html ## the page, by Vite (without npm the binary carries a plain page)

$(PAGE)/index.html: $(shell find $(WEB) -path $(WEB)/node_modules -prune -o -type f -print 2>/dev/null)
	@if command -v $(NPM) >/dev/null 2>&1; then \
		$(MAKE) --no-print-directory $(MODULES) && cd $(WEB) && $(NPM) run --silent build; \
	else \
		echo "npm is not installed: building with the plain page"; \
	fi

$(MODULES): $(WEB)/package-lock.json
	cd $(WEB) && $(NPM) ci --no-audit --no-fund --loglevel=error

test: check unit e2e ## everything: checks, unit tests with the race detector, end-to-end tests with real programs

unit: web $(MODULES) ## unit and integration tests
	.ci/need ffmpeg=ffmpeg
	cd $(WEB) && $(NPM) test --silent
	$(GO) test -shuffle=on -skip '$(KUBO)' $(CALM)
	$(GO) test -race -shuffle=on -parallel 4 -skip '$(KUBO)' $(RACY)
	$(GO) test -race -shuffle=on -run '$(SOCKETS)' ./mesh

e2e: build ## ffmpeg pushes, Chromium plays, ffprobe reads, publishers and seeds are killed
	.ci/need ffmpeg=ffmpeg chromium=chromium curl=curl $$([ "$$(id -u)" != 0 ] || echo ip=iproute2)
	$(GO) test -count=1 -timeout 12m -run '$(KUBO)' ./node/archive/exchange ./node/archive/unixfs
	$(GO) test -count=1 -timeout 12m ./node/e2e

check: ## gofmt, vet, tidy modules
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'run gofmt -w on these'; exit 1; }
	$(GO) vet ./...
	$(GO) mod tidy -diff

lint: check ## what golangci-lint finds, too (builds it the first time: some minutes)
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...

bench: build ## benchmarks: chunker, playlist, shim, a viewer, picture to screen; then swarms in virtual time (hours; bench/swarm alone continues)
	bench/run
	$(GO) run ./bench/swarm --skip
	$(GO) run ./bench/swarm --skip --growth

soak: build ## origins and seeds killed 50 times each; the demo for an hour, watched for stalls, losses and growth
	MURMUR_KILLS=50 $(GO) test -count=1 -timeout 30m -v -run Killed ./node/e2e
	bench/soak

clean: ## remove what the other commands made
	rm -rf bin $(PAGE) $(WEB)/node_modules mesh/compat/node_modules
