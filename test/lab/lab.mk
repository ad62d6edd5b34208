# What runs with real servers: the demo, the lab, and the tests.
#
# Everything fetched lies under build/: a private Python and the mongod binary.
# Nothing of it is compiled in, so MT_VENV and MT_MONGOD may name others.

MT_VENV ?= $(CURDIR)/build/venv
MT_MONGOD ?= $(CURDIR)/build/mongod-6.0.5/mongod
export MT_VENV MT_MONGOD PG_CONFIG
PYTHON = $(MT_VENV)/bin/python
# The arguments of a subset: make test-integration ARGS='-k failover',
# make test-regress ARGS='position changes'.
ARGS ?=

RUN_WITH = $(PYTHON) test/lab/run_with.py
SERVER_TESTS = test-regress test-isolation test-integration

.PHONY: help deps demo demo-stop lab lab-stop test test-stages test-build test-regress \
	test-isolation test-integration test-long test-matrix bench check-style
help:
	@sed -n 's/^#: //p' test/lab/lab.mk

#: make                  build the extension for the PostgreSQL of PG_CONFIG
#: make install          install it there
#: make deps             install what building and testing need (Debian, as root)
deps:
	@bash test/lab/deps.sh

#: make demo             build, install, start MongoDB and PostgreSQL, load flights, watch them change
#: make demo-stop        end both servers and remove their data
demo: deps
	@$(MAKE) --no-print-directory install-quietly
	@$(PYTHON) test/lab/demo.py start
demo-stop:
	@if [ -x $(PYTHON) ]; then $(PYTHON) test/lab/demo.py stop; else echo "no demo was ever started here"; fi

#: make lab              both servers for work by hand, and the psql line
#: make lab-stop         end them and remove their data
lab: deps
	@$(MAKE) --no-print-directory install-quietly
	@$(PYTHON) test/lab/demo.py lab
lab-stop:
	@if [ -x $(PYTHON) ]; then $(PYTHON) test/lab/demo.py lab-stop; else echo "no lab was ever started here"; fi

.PHONY: install-quietly
install-quietly:
	@echo "Building and installing mongo_tail $(EXTVERSION) for $$($(PG_CONFIG) --version)"
	@mkdir -p build/log
	@$(MAKE) --no-print-directory all install > build/log/install.log 2>&1 || { cat build/log/install.log; exit 1; }

#: make test             every test, from nothing (under 20 minutes)
#: make test-long        a million fuzz inputs, long stress, the long integration tests
#: make test-matrix      PostgreSQL 17, 18 and 15 with assertions, mongod 4.4, 5.0 and 6.0.27 (ARGS='pg17 mongo-4.4.2';
#:                       test/matrix/README.md says what each row is)
test: deps
	@$(PYTHON) test/lab/run_stages.py test-build unit check-style fuzz-short tsan $(SERVER_TESTS)
test-long: deps
	@MT_LONG=1 STRESS_SECONDS=60 FUZZ_RUNS=$(FUZZ_RUNS) \
		$(PYTHON) test/lab/run_stages.py test-build unit coverage check-style fuzz tsan $(SERVER_TESTS)
# The stages of MT_STAGES, for a row of the matrix.
test-stages:
	@$(PYTHON) test/lab/run_stages.py $(MT_STAGES)
test-matrix: deps
	@bash test/matrix/run.sh $(ARGS)

test-build:
	@$(MAKE) --no-print-directory all
	@echo "built mongo_tail $(EXTVERSION) for $$($(PG_CONFIG) --version)," \
		"$(MONGOC) $$(pkg-config --modversion $(MONGOC))"

#: make test-regress     the SQL tests           (ARGS='name ...')
#: make test-isolation   the isolation specs     (ARGS='name ...')
#: make test-integration the pytest suite        (ARGS='-k pattern')
test-regress test-isolation: test-%: all
	@$(RUN_WITH) --postgres --mongod bash test/lab/run_sql_tests.sh $* $(ARGS)
test-integration: all $(UNIT_BUILD)/filter_oplog
	@$(RUN_WITH) --postgres bash test/lab/run_integration.sh $(ARGS)

#: make unit             the tests without any server (seconds)
#: make asan             the same by its other name: they run under ASan and UBSan
#: make tsan             the ring's stress under ThreadSanitizer
#: make coverage         how much of floor 0 and of the ring the unit tests run
#: make fuzz             fuzz every target (FUZZ_RUNS=1000000)
#: make check-style      layers, exported symbols, SQL comments and grants, white space

check-style:
	@bash test/style/check_style.sh

#: make bench            measure, print one table, write test/bench/results.tsv (10 minutes)
bench: deps all build/bench/bench_mongo build/bench/bench_wait build/bench/bench_query
	@$(RUN_WITH) --postgres $(PYTHON) test/bench/run.py $(ARGS)

# Optimized, as the extension is: what it is compared with deserves no less.
PQ_CFLAGS = $(call system_headers,$(shell pkg-config --cflags libpq 2>/dev/null))
build/bench/bench_mongo: test/bench/bench_command.c test/bench/bench_pipeline.c test/bench/bench_common.h
build/bench/bench_query: test/bench/bench_command.c test/bench/bench_common.h
build/bench/%: test/bench/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -g -Wall -Wextra -Werror $(MONGOC_CFLAGS) $(PQ_CFLAGS) -o $@ $(filter %.c,$^) \
		$(MONGOC_LIBS) $(shell pkg-config --libs libpq) -pthread
