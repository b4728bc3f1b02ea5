# Two commands: `make demo` and `make test`. Both set up what they need; see scripts/set-up.
.PHONY: demo test unit nightly bench check clean attack-suite docs

demo:
	@scripts/set-up demo
	@scripts/say "the main job, offline, with no key"
	@PYTHONWARNINGS= .venv/bin/perstack demo $(ARGS)

test:
	@scripts/set-up test
	@scripts/test

unit:
	@scripts/set-up test
	@scripts/test unit

check:
	@scripts/test check

nightly:
	@scripts/set-up test
	@scripts/test nightly

bench:
	@scripts/set-up test
	@.venv/bin/python -m bench

attack-suite:
	@scripts/set-up test
	@scripts/say "every attack and every honest patch, through the whole protocol and up the ladder"
	@PYTHONWARNINGS= .venv/bin/python -m tests.attacks.ladder $(ARGS)

docs:
	@scripts/set-up test
	@scripts/say "the documentation's site, into site/"
	@.venv/bin/python -m perstack.interface.reference
	@.venv/bin/python scripts/docs/site

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache tests/node/node_modules tests/.cache perstack-demo site build
