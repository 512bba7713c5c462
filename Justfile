# Everything one does in this repository. `python3 dev.py RECIPE` sets up `.venv` first.

bin := justfile_directory() / ".venv/bin"
export PATH := bin + ":" + env("PATH")

# What there is to do
_default:
    @just --list --unsorted

# Build the examples, run each natively and sandboxed, hit four limits
demo *arguments:
    orchestrator-plugin demo {{ arguments }}

# Run the tests; with `--slow`, the slow ones too
test *arguments:
    python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal {{ arguments }}

# Everything a change must pass
check: format-check lint types test

# Format the code
format:
    ruff format
    ruff check --fix-only --quiet

# Is the code formatted?
format-check:
    ruff format --check

# Look for mistakes
lint:
    ruff check

# Check the types
types:
    mypy sdk-python/src host/src benchmarks/bench.py benchmarks/suite

# Measure what calls cost, each beside a peer, and write docs/performance.md: `bench --quick --only generate`
bench *arguments: bench-packages
    python benchmarks/bench.py {{ arguments }}

# Install what the benchmarks compare with
bench-packages:
    python -m pip --disable-pip-version-check install --quiet --require-hashes -r benchmarks/requirements.lock

# Run inputs as an enemy would write them: `fuzz components --inputs 100000 --seed 1`
fuzz *arguments:
    PYTHONPATH=tests python -m fuzz {{ arguments }}

# Make many calls, good and bad, and see what they leave behind: `soak --calls 200000 --tier both`
soak *arguments:
    python benchmarks/soak.py {{ arguments }}

# Write the JSON Schemas of the documents, and of policy files, anew
schemas:
    python -m orchestrator_plugin_host.schemas

# Resolve and pin the dependencies anew
lock:
    printf './sdk-python\n./host[build,zig]\n' | uv pip compile - --group dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-package orchestrator-plugin-sdk --no-emit-package orchestrator-plugin-host --output-file requirements.lock
    printf '' | uv pip compile - --group bench --constraint requirements.lock --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --output-file benchmarks/requirements.lock

# Remove what was built, and the environment
clean:
    rm -rf build guest-examples/*/build tests/conformance/plugins/*/build .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
