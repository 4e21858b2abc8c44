# Every target installs what it needs. `make demo` and `make test` need only Python 3.11 or newer, and make.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEMO_BIN := .venv-demo/bin
DEMO_READY := .venv-demo/.ready
SDKS_READY := .venv-sdks/.ready
FUZZ_READY := .venv/.fuzz-ready
MUTANTS_READY := .venv/.mutants-ready
# --no-deps, because a lock contains all dependencies: pip before 24 resolves `coverage[toml]` to the newest version
# although another is locked, and then refuses its hash (https://github.com/pypa/pip/issues/9644).
INSTALL := pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet --upgrade
REQUESTS ?= 100000
STEPS ?= 20000
SECONDS ?= 600
CHECK_PYTHON = @$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit('Python 3.11 or newer is needed; \
$(PYTHON) is Python %d.%d. Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.13' % sys.version_info[:2])"

SLOW := browser or clients or curl or examples or large or network or operations or sdks or stores or uppy
BROWSERS_NEED := chromium firefox-esr WebKitWebDriver Xvfb curl
BROWSERS_PACKAGES := chromium firefox-esr webkit2gtk-driver xvfb gstreamer1.0-libav curl

.PHONY: demo test browser browsers client clients stores corpus large fuzz mutants faults soak pythons bounds platforms production dist lint serve bench bench-quick scale clean lock sdks examples uppy operations alerts-soak image topology sbom

# A shell without a trap ends at Ctrl-C before the demo has stopped. Status 3: the demo cannot listen on its port.
demo: $(DEMO_READY)  ## run the broker, an S3 server and a page to try, on this machine
	@trap : INT; $(DEMO_BIN)/python -m broker demo $(DEMO) || { status=$$?; \
	test $$status -ne 3 || echo 'With make, choose a port by: make demo DEMO="--port 9000"' >&2; exit $$status; }

test: $(READY)  ## run the tests that need only Python, with coverage
	$(BIN)/python -m pytest -n 4 -m "not ($(SLOW))" --cov --cov-report=term

browser: $(READY)  ## test the page in Chromium and the printed curl commands (apt-get install chromium curl)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "browser or curl"

clients: $(READY)  ## test common HTTP clients behind proxies (apt-get install nginx caddy curl default-jdk-headless)
	$(BIN)/python -m pytest -m clients

uppy: $(READY)  ## test the real packages of Uppy and better-upload in two browsers (apt-get install chromium firefox-esr)
	BROWSERS="chromium firefox" $(BIN)/python -m pytest -n 2 --dist loadgroup -m uppy

stores: $(READY)  ## test each store that runs on this machine, and write the tables of docs/stores.md
	$(BIN)/python -W ignore -m tests.stores.table
	$(BIN)/python -m pytest -n 2 -m stores

examples: $(READY)  ## install and run each example (apt-get install chromium curl default-jdk-headless)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m examples

operations: $(READY)  ## test what operators run: proxies, Redis, Prometheus, images, units (apt-get install caddy nginx prometheus redis-server systemd wget)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m operations

image: $(READY)  ## build and run the container image without Docker, as root (apt-get install --no-install-recommends buildah debootstrap runc)
	$(BIN)/python -m tests.image

sbom: $(READY)  ## write a bill of materials (CycloneDX) and the licences of the service to build/sbom, and check the licences
	$(BIN)/python -m tests.packaging.sbom

topology: $(READY)  ## run the services of deploy/compose.yaml without Docker (apt-get install prometheus redis-server wget)
	@trap : INT; $(BIN)/python -m tests.operations.topology

alerts-soak: $(READY)  ## SECONDS of load without a fault, in which no alert fires (apt-get install prometheus)
	$(BIN)/python -m tests.operations.prometheus.soak --seconds $(SECONDS)

sdks: $(READY) $(SDKS_READY)  ## test generated clients in eight forms (apt-get install default-jdk-headless libgoogle-gson-java libhttpmime-java libjakarta-annotation-api-java)
	$(BIN)/python -m pytest -m sdks tests/sdks

browsers: $(READY)  ## the same, and the tests that depend on the engine in Firefox and WebKitGTK too
	@for program in $(BROWSERS_NEED); do command -v $$program >/dev/null || { echo "$$program is missing: \
	apt-get install $(BROWSERS_PACKAGES)" >&2; exit 1; }; done
	BROWSERS="chromium firefox webkit" $(BIN)/python -m pytest -n 2 --dist loadgroup -m "browser or curl"

client: $(READY)  ## bundle the browser client from client/src into broker/web/static
	$(BIN)/python -m tests.client.bundle

large: $(READY)  ## upload 5.5 GiB; needs 24 GiB in the temporary folder
	$(BIN)/python -m pytest -m large

fuzz: $(FUZZ_READY)  ## fuzz for an hour: STEPS of random calls, hostile REQUESTS over HTTP, SECONDS of coverage-guided fuzzing per parser
	$(BIN)/python -m tests.sequences.campaign --steps $(STEPS)
	$(BIN)/python -m tests.fuzz.campaign --requests $(REQUESTS)
	$(BIN)/python -m tests.fuzz.guided --seconds $(SECONDS)

corpus: $(READY)  ## compare the broker's decisions with 1,000 real files from packages and encoders; as root it installs the programs
	tests/corpus/install
	$(BIN)/python -W ignore -m tests.corpus

mutants: $(MUTANTS_READY)  ## mutation testing of core, crypto and auth; ten minutes
	$(BIN)/mutmut run --max-children 2
	$(BIN)/python -m tests.mutants.score

faults: $(READY)  ## measure what clients see while the store, the identity service or another user fails; 15 minutes
	$(BIN)/python -m tests.faults.campaign

soak: $(READY)  ## SECONDS of load with random faults, and the memory and file descriptors of the broker meanwhile
	$(BIN)/python -m tests.faults.soak --seconds $(SECONDS)

pythons: $(READY)  ## run the unit tests on every other Python >= 3.11 of this machine
	$(BIN)/python -m tests.matrix pythons

bounds: $(READY)  ## run the unit tests with the lowest and the newest allowed version of each dependency
	$(BIN)/python -m tests.matrix bounds

platforms: $(READY)  ## check that every locked dependency has a wheel for Linux (glibc, musl), macOS and Windows
	$(BIN)/python -m tests.matrix platforms

production: $(READY)  ## run README's installation commands and `make demo`, in new environments
	$(BIN)/python -m tests.matrix production
	$(BIN)/python -m pytest -m network

dist: $(READY)  ## build a wheel and a source distribution in dist/
	$(BIN)/hatchling build

lint: $(READY)  ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

serve: $(READY)  ## run the service with the settings in .env
	$(BIN)/broker serve

bench: $(READY)  ## compare the cost with other brokers, 15 minutes (apt-get install wrk)
	$(BIN)/python -m bench

bench-quick: $(READY)  ## the same with fewer and shorter rounds, 3 minutes
	$(BIN)/python -m bench --quick

scale: $(READY)  ## measure overload and network faults, 10 minutes; single rows by ROWS="F22 F27"
	$(BIN)/python -m bench.scale $(ROWS)

lock: $(READY)  ## update all lock files from pyproject.toml
	$(COMPILE) pyproject.toml --output-file deploy/requirements.lock
	$(COMPILE) --group build --output-file deploy/build.lock
	$(COMPILE) --extra demo --extra otel --extra redis --group test --group lint pyproject.toml --output-file tests/requirements.lock
	$(COMPILE) --extra demo --constraint tests/requirements.lock pyproject.toml --output-file deploy/demo.lock
	$(COMPILE) --extra redis --constraint tests/requirements.lock pyproject.toml --output-file deploy/redis.lock
	$(COMPILE) --group fuzz --constraint tests/requirements.lock pyproject.toml --output-file tests/fuzz/requirements.lock
	$(COMPILE) --group mutants --constraint tests/requirements.lock pyproject.toml --output-file tests/mutants/requirements.lock
	$(COMPILE) tests/stores/ministack/requirements.in --output-file tests/stores/ministack/requirements.lock
	$(COMPILE) tests/operations/kubernetes/requirements.in --output-file tests/operations/kubernetes/requirements.lock
	$(COMPILE) deploy/sbom/requirements.in --output-file deploy/sbom/requirements.lock
	$(COMPILE) --no-deps tests/operations/compose/requirements.in --output-file tests/operations/compose/requirements.lock
	$(COMPILE) --no-deps tests/examples/kotlin/requirements.in --output-file tests/examples/kotlin/requirements.lock
	$(COMPILE) examples/fastapi/requirements.in --output-file examples/fastapi/requirements.lock
	$(COMPILE) examples/django/requirements.in --output-file examples/django/requirements.lock
	$(COMPILE) --constraint tests/requirements.lock bench/peers/requirements.in --output-file bench/peers/requirements.lock
	$(COMPILE) --constraint tests/requirements.lock tests/sdks/requirements.in --output-file tests/sdks/requirements.lock
	$(COMPILE) --no-deps tests/sdks/tools.in --output-file tests/sdks/tools.lock

$(READY): tests/requirements.lock pyproject.toml
	$(CHECK_PYTHON)
	$(PYTHON) -m venv .venv
	$(BIN)/$(INSTALL) tests/requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

# The demo runs from the checkout. --no-compile: Python compiles the modules that it imports, and they are few.
$(DEMO_READY): deploy/demo.lock
	$(CHECK_PYTHON)
	@echo "Installing the demo into .venv-demo: once, about 75 MB to download."
	@$(PYTHON) -m venv --clear .venv-demo
	@$(DEMO_BIN)/$(INSTALL) deploy/demo.lock --no-compile
	@touch $@

$(SDKS_READY): tests/sdks/requirements.lock tests/sdks/tools.lock
	$(CHECK_PYTHON)
	$(PYTHON) -m venv --clear .venv-sdks
	.venv-sdks/bin/$(INSTALL) tests/sdks/requirements.lock --requirement tests/sdks/tools.lock --no-compile
	@touch $@

$(FUZZ_READY): $(READY) tests/fuzz/requirements.lock
	$(BIN)/$(INSTALL) tests/fuzz/requirements.lock
	@touch $@

$(MUTANTS_READY): $(READY) tests/mutants/requirements.lock
	$(BIN)/$(INSTALL) tests/mutants/requirements.lock
	@touch $@

clean:
	rm -rf .venv .venv-demo .venv-sdks .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis .fuzz mutants build dist .bench bench/results bench/peers/node_modules client/dist client/node_modules examples/react/dist examples/react/node_modules examples/filepond/node_modules examples/node/node_modules tests/uppy/node_modules tests/uppy/*/node_modules deploy/cloudflare/node_modules
