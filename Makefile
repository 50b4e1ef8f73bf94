# Two commands do all the set-up: `make estimate` asks the main question, `make test` runs the tests.
PYTHON ?= python3
VENV := .venv

.PHONY: fuzz monotony fewest estimate test lint benchmark sampling oracle explorer-check accessibility docs packaging clean

$(VENV)/ready: pyproject.toml constraints.txt hatch_build.py
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

estimate: $(VENV)/ready
	@$(VENV)/bin/perfmodel estimate llama-3.1-8b sn40l --devices 8 --context 4k

test: $(VENV)/ready
	$(VENV)/bin/python -m compileall -q perfmodel cli.py
	$(VENV)/bin/python -m pytest -n 2

lint: $(VENV)/ready
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[lint]'
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# One table, beside the figures pinned last; `python benchmarks/benchmark.py --pin` keeps new ones.
benchmark: $(VENV)/ready
	$(VENV)/bin/python -m compileall -q perfmodel cli.py
	$(VENV)/bin/python benchmarks/benchmark.py

# The ends of intervals against the percentiles of drawn parameters: 2,000 questions, some minutes.
sampling: $(VENV)/ready
	$(VENV)/bin/python validation/sampling.py

# For hours: make fuzz HOURS=8. The result is kept in tests/fuzz/result.json, each crash in tests/fuzz/crashes.
INPUTS ?= 100000
HOURS ?= 0
fuzz: $(VENV)/ready
	$(VENV)/bin/python tests/fuzz/fuzz_run.py $(if $(filter 0,$(HOURS)),--inputs $(INPUTS),--hours $(HOURS))

# Does a step follow the direction of every parameter: 200,000 random pairs of questions, some minutes; tests/monotony/result.json.
monotony: $(VENV)/ready
	$(VENV)/bin/python tests/monotony/monotony_run.py

# devices_needed by brute force, every model on thirty devices up to 64 of each: two minutes; tests/fewest/result.json.
fewest: $(VENV)/ready
	$(VENV)/bin/python tests/fewest/fewest_run.py

# What the transformers library counts, kept in tests/oracle for the suite: torch and twenty minutes.
oracle:
	$(PYTHON) -m venv .venv-oracle
	.venv-oracle/bin/python -m pip install --quiet --disable-pip-version-check -e '.[oracle]'
	for program in defaults build list_types; do PYTHONPATH=. .venv-oracle/bin/python tests/oracle/$$program.py || exit 1; done

# Two thousand random questions of the explorer in a browser against `estimate`; needs chromium and chromedriver. The result is
# kept in tests/explorer_check.json.
explorer-check: $(VENV)/ready
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check selenium
	EXPLORER_QUESTIONS=2000 EXPLORER_RESULT=tests/explorer_check.json $(VENV)/bin/python -m pytest -n 0 tests/test_explorer.py

# axe-core, from npm, on the explorer and on a report, light and dark; needs chromium, chromedriver and npm.
accessibility: $(VENV)/ready
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check selenium
	npm install --silent --no-save --prefix build/axe axe-core
	AXE=build/axe/node_modules/axe-core/axe.min.js $(VENV)/bin/python -m pytest -n 0 tests/test_accessibility.py

# The documentation site in build/site, the explorer its first page; its links are checked.
docs: $(VENV)/ready
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(VENV)/bin/python docs/site/build.py

# The wheel and the sdist on every Python that is there, with the oldest and the newest dependencies, asked forty questions
# each; tests/packaging/result.json.
packaging: $(VENV)/ready
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check twine
	$(VENV)/bin/python tests/packaging/try_all.py

clean:
	rm -rf $(VENV) .venv-oracle dist build
