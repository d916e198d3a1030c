# Two commands: `make run` shows the whole flow on a small simulated world, `make test` runs all tests.
# Both make the environment first (.venv, pinned with hashes); nothing else is needed than Python 3.11 and make.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.bench-ready
SPARK_READY := $(VENV)/.spark-ready
WORLD := .rec-platform/world

.PHONY: run test quick bench spark test-spark lint ui clean lock

run: $(READY)
	@test -d $(WORLD)/delivery || $(BIN)/rec-platform simulate $(WORLD) --plays 30000
	@$(BIN)/rec-platform ingest --mapping examples/mappings/simulated.toml $(WORLD)/delivery
	@$(BIN)/rec-platform run --from 2025-02-02 --to 2025-02-03
	@$(BIN)/rec-platform metrics --from 2025-02-02 --to 2025-02-03
	@$(BIN)/rec-platform recommend --sample --as-of 2025-02-03 -k 3
	@echo "Look at it: $(BIN)/rec-platform ui"

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

quick: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not real_data"

bench: $(BENCH_READY)
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script $(ARGS) || exit 1; done

# Spark into the environment (480 MB; it needs Java beside it), and the tests that use it.
spark: $(SPARK_READY)

test-spark: $(SPARK_READY)
	$(BIN)/python -m pytest tests/flow/test_spark.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

ui: $(READY)
	$(BIN)/rec-platform ui

$(READY): requirements.lock requirements-bootstrap.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@echo "Compiling the kernels into $(VENV) (once)"
	@$(BIN)/python -m rec_platform.timetravel.warm_up
	@$(BIN)/python -m rec_platform.evaluation.warm_up
	@touch $@

# The peers that the benchmarks measure beside us; no test needs them.
$(BENCH_READY): $(READY) requirements-bench.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r requirements-bench.lock
	@touch $@

# PySpark comes as source, so it is built with what the environment has.
$(SPARK_READY): $(READY) requirements-spark.lock
	@command -v java >/dev/null || test -n "$$JAVA_HOME" || { echo "Spark needs Java 17 or newer; install it or set JAVA_HOME"; exit 1; }
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps --no-build-isolation -r requirements-spark.lock
	@touch $@

# Re-resolve the pins: the GPU runtime that XGBoost asks for is left out (469 MB; see docs/decisions).
lock:
	$(BIN)/uv pip compile --quiet requirements-bootstrap.in -o requirements-bootstrap.lock --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev -o requirements.lock --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-strip-extras --no-annotate \
		--no-emit-package nvidia-nccl-cu12
	$(BIN)/uv pip compile --quiet pyproject.toml --extra bench -c requirements.lock -o requirements-bench.lock --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-strip-extras --no-annotate \
		--no-emit-package nvidia-nccl-cu12
	$(BIN)/uv pip compile --quiet pyproject.toml --extra spark -c requirements.lock -o requirements-spark.lock --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-strip-extras --no-annotate \
		--no-emit-package nvidia-nccl-cu12

clean:
	rm -rf $(VENV) .rec-platform
