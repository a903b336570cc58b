# Thin: every target is a few commands that can be typed by hand. `make help` lists them.

BUILD := build
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 60
PROMPT ?= Once upon a time
MODEL ?= models/quern-stories.gguf
PICTURE ?= models/shapes/star.png

.PHONY: help run test test-full tidy bench fuzz mutate conformance clean

help:
	@echo 'make run          build the command, tell a story (SEED=, PROMPT=, MODEL=) and name a picture (PICTURE=)'
	@echo 'make test         build everything and run the tests'
	@echo 'make test-full    and the long comparisons with other engines (PYTHON= one that has their packages)'
	@echo 'make tidy         layers, names, sizes, format'
	@echo 'make bench        benchmarks of the parts'
	@echo 'make fuzz         run the fuzzers (FUZZ_SECONDS= each, default 60; FUZZ= one of them)'
	@echo 'make mutate       falsify one kernel at a time; the conformance suite must notice each'
	@echo 'make conformance  the tests that read the conformance data; fails where the data is missing'
	@echo 'make clean        remove build/'

# The story and the picture's classes go to stdout, all else to stderr.
run:
	@tools/install-deps.sh --run
	@test -f $(BUILD)/CMakeCache.txt || cmake -S . -B $(BUILD) -DQUERN_TESTS=OFF \
	    $$(command -v ninja >/dev/null && echo -G Ninja) >&2
	@cmake --build $(BUILD) --target quern -j $(JOBS) >&2
	@$(BUILD)/quern run $(MODEL) -p '$(PROMPT)' --seed $${SEED:-$$(date +%s)}
	@{ echo; echo 'What is in $(PICTURE)?'; } >&2
	@$(BUILD)/quern run models/quern-shapes.onnx --image $(PICTURE) --labels models/quern-shapes.txt --top 3
	@{ echo; echo 'Your own model file:  $(BUILD)/quern run FILE.gguf -p "..."'; \
	   echo '                      $(BUILD)/quern run FILE.onnx --random'; \
	   echo 'All it can do:        $(BUILD)/quern --help'; } >&2

test:
	@tools/install-deps.sh --test
	@cmake --preset release >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)
	@tools/run-tests $(BUILD)

test-full: test
	@tools/test-full $(BUILD)

tidy:
	@tools/install-deps.sh --tidy
	@cmake --preset release >/dev/null
	@cmake --build $(BUILD) --target libquern -j $(JOBS)
	@tools/tidy $(BUILD)

bench:
	@tools/install-deps.sh --test
	@cmake --preset release >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)
	@for program in $(BUILD)/bench/*_bench; do echo "== $$program"; $$program || exit 1; done

fuzz:
	@tools/install-deps.sh --clang
	@cmake --preset fuzz >/dev/null
	@cmake --build $(BUILD)/fuzz -j $(JOBS)
	@tools/run-fuzzers $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZ)

mutate:
	@tools/install-deps.sh --python
	@cmake --preset release >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)
	@tools/mutate $(BUILD)

conformance:
	@tools/install-deps.sh --test
	@cmake --preset release >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)
	@QUERN_CONFORMANCE_REQUIRED=1 tools/run-tests $(BUILD) -L conformance; bad=$$?; \
	    sed -n -E '/^[a-z_-]+: [0-9,]+ (cases|frames)/p' $(BUILD)/Testing/Temporary/LastTest.log; exit $$bad

clean:
	rm -rf $(BUILD)
