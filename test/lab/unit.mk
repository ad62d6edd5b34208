# What runs without any server: unit tests, fuzzing, sanitizers, coverage.
#
# Floor 0 and the ring need libbson and PCRE only, so every build below is the
# same rules into another folder with other compiler flags.

UNIT_BUILD ?= build/unit
UNIT_SANITIZE ?= -fsanitize=address,undefined -fno-sanitize-recover=undefined
UNIT_CFLAGS = -std=gnu11 -O1 -g -Wall -Wextra -Werror -fno-omit-frame-pointer -MMD -MP \
	-Isrc -Itest/unit $(BSON_CFLAGS) $(UNIT_SANITIZE)
UNIT_LIBS = $(BSON_LIBS) $(PCRE_LIBS) -pthread -lm

PURE_SRCS := $(sort $(wildcard src/oplog/*.c src/ring/ring.c))
PURE_OBJS = $(PURE_SRCS:%.c=$(UNIT_BUILD)/%.o)
UNIT_TESTS := $(patsubst test/unit/%.c,%,$(sort $(wildcard test/unit/test_*.c)))
UNIT_TOOLS := $(patsubst test/unit/%.c,%,\
	$(wildcard test/unit/run_vectors.c test/unit/stress_ring.c test/unit/probe_mongo.c test/unit/filter_oplog.c))
UNIT_PROGRAMS = $(addprefix $(UNIT_BUILD)/,$(UNIT_TESTS) $(UNIT_TOOLS))
# The hash tables among the vectors are of use once hashing is there.
VECTORS := $(sort $(wildcard test/unit/vectors/*.jsonl) \
	$(if $(wildcard src/oplog/hash_ring.c),$(wildcard test/unit/vectors/*.tsv)))
STRESS_SECONDS ?= 1
# Looked for only by the targets that use it.
CLANG = $(shell sh test/lab/find_clang.sh)

$(UNIT_BUILD)/src/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -c -o $@ $<
# The room of the driver needs the driver, too.
MONGO_OBJS = $(patsubst %.c,$(UNIT_BUILD)/%.o,$(sort $(wildcard src/mongo/*.c)))
$(MONGO_OBJS): UNIT_CFLAGS += $(MONGOC_CFLAGS)
$(UNIT_BUILD)/test_mongo $(UNIT_BUILD)/probe_mongo: UNIT_LIBS += $(MONGOC_LIBS)
$(UNIT_BUILD)/test_mongo $(UNIT_BUILD)/probe_mongo: UNIT_CFLAGS += $(MONGOC_CFLAGS)
$(UNIT_BUILD)/test_mongo $(UNIT_BUILD)/probe_mongo: $(MONGO_OBJS)
# Each kind of vector has its file, and all are one program.
$(UNIT_BUILD)/run_vectors: $(filter-out test/unit/run_vectors.c,$(wildcard test/unit/*_vectors.c))
$(UNIT_PROGRAMS): $(UNIT_BUILD)/%: test/unit/%.c $(PURE_OBJS)
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -o $@ $(filter %.c %.o,$^) $(UNIT_LIBS)
test/unit/run_vectors: $(UNIT_BUILD)/run_vectors
	cp $< $@
-include $(wildcard $(UNIT_BUILD)/*.d $(UNIT_BUILD)/src/*/*.d)

.PHONY: unit unit-build asan tsan coverage fuzz fuzz-short
unit-build: $(UNIT_PROGRAMS) $(if $(filter run_vectors,$(UNIT_TOOLS)),test/unit/run_vectors)
unit: unit-build
	@UNIT_BUILD=$(UNIT_BUILD) STRESS_SECONDS=$(STRESS_SECONDS) VECTORS='$(VECTORS)' \
		sh test/lab/run_unit.sh $(UNIT_TESTS)

# The unit tests run under both sanitizers anyway; this is their name.
asan: unit

# The lapped readers again, under ThreadSanitizer, which older compilers' runtimes
# cannot start where the kernel randomizes addresses by more than 28 bits.
NO_RANDOMIZE = $$(setarch -R true 2>/dev/null && echo setarch -R)
# gcc warns that its sanitizer does not follow fences; nothing here relies on it.
TSAN_CC ?= $(or $(CLANG),$(CC) -Wno-tsan)
tsan:
	@$(MAKE) --no-print-directory build/tsan/stress_ring UNIT_BUILD=build/tsan \
		UNIT_SANITIZE=-fsanitize=thread CC="$(TSAN_CC)"
	TSAN_OPTIONS=halt_on_error=1 $(NO_RANDOMIZE) build/tsan/stress_ring $(STRESS_SECONDS)

coverage:
	@$(MAKE) --no-print-directory unit UNIT_BUILD=build/coverage UNIT_SANITIZE=--coverage STRESS_SECONDS=1
	@sh test/lab/coverage.sh build/coverage $(PURE_SRCS)

# Fuzzing needs clang's libFuzzer; where there is none, fuzz-short lets gcc run the corpus once.
FUZZ_CC ?= $(CLANG)
FUZZ_RUNS ?= 1000000
FUZZ_TARGETS := $(patsubst test/fuzz/%.c,%,$(sort $(wildcard test/fuzz/fuzz_*.c)))
fuzz:
	@FUZZ_CC='$(FUZZ_CC)' CC='$(CC)' FUZZ_CFLAGS='-std=gnu11 -g -O1 -Isrc -Itest/unit $(BSON_CFLAGS)' \
		FUZZ_SRCS='$(PURE_SRCS)' FUZZ_LIBS='$(UNIT_LIBS)' FUZZ_RUNS=$(FUZZ_RUNS) \
		FUZZ_REPLAY=$(FUZZ_REPLAY) sh test/lab/run_fuzz.sh $(FUZZ_TARGETS)
fuzz-short:
	@$(MAKE) --no-print-directory fuzz FUZZ_RUNS=20000 FUZZ_REPLAY=yes
