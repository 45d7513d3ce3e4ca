# Each target works on a fresh machine with Python 3.11 or later, make and a C compiler; all else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
INPUTS := pyproject.toml constraints.txt hatch_build.py $(wildcard src/nearfield/kernels/*.[ch]) src/nearfield/kernels/compile.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# pip would compile some 30,000 files one after the other; not all of them are for this Python, and what others warn of is theirs
COMPILE := $(BIN)/python -W ignore -m compileall -qq -j 0 .venv/lib || true

.PHONY: demo test lint check docs sanitised format bench bench-environments clean

demo: .venv/demo.stamp            ## compare and tune the default model on the standard library's own source, and report
	$(BIN)/nearfield demo

test: .venv/test.stamp            ## every test, on up to four processors
	OMP_WAIT_POLICY=PASSIVE PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal

lint: .venv/test.stamp            ## lint, format, types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

check: lint                       ## the same, and the tests that hold layers, surface and budgets
	$(BIN)/pytest -q tests/test_layers.py tests/test_surface.py tests/test_budgets.py

docs: .venv/test.stamp            ## the documentation as a site, in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# 77 says that the compiler has no sanitisers.
sanitised: .venv/test.stamp       ## the kernels' tests and damaged vector folders, about a minute, under the compiler's sanitisers
	$(BIN)/python tests/fuzz/sanitised.py --count 100 || [ $$? = 77 ]

format: .venv/test.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/test.stamp           ## each benchmark beside its peers; see benchmarks/
	for script in $$(grep -l "^def main" benchmarks/*.py); do $(BIN)/python "$$script" || exit 1; done

# Peers want versions that exclude each other: an environment each, from benchmarks/environments, for the benchmarks' --peers and
# --peers-python. What a file names after "no dependencies:" asks for more than it needs, or for versions that exclude the rest.
bench-environments:               ## the peers' environments, in build/bench-environments
	for file in benchmarks/environments/*.txt; do \
		folder=build/bench-environments/$$(basename $$file .txt); \
		$(PYTHON) -m venv $$folder && \
		$$folder/bin/python -m pip install --quiet -r $$file && \
		sed -n 's/^# no dependencies: //p' $$file | tr ' ' '\n' | xargs -r $$folder/bin/python -m pip install --quiet --no-deps || exit 1; \
	done

clean:
	rm -rf .venv build dist src/nearfield/kernels/*.so src/nearfield/kernels/*.crc32 .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nearfield needs Python 3.11 or later, this is " + sys.version)'
	$(PYTHON) -m venv .venv

# torch is named with its exact version in the same command: an unpinned one may bring gigabytes of GPU libraries.
.venv/demo.stamp: $(INPUTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt torch==2.13.0 -e '.[report]'
	$(COMPILE)
	touch $@

# An oracle of models of images comes without its torchvision, which is built for another torch and would break transformers.
.venv/test.stamp: $(INPUTS) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt torch==2.13.0 -e '.[report,dev]'
	$(BIN)/python -m pip install --quiet --no-compile --no-deps open_clip_torch==3.3.0
	$(COMPILE)
	touch $@ .venv/demo.stamp
