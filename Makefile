# mongo_tail: MongoDB, live, inside PostgreSQL.
#
# The targets for people are listed by `make help`.  Those that need nothing
# but root and a network (demo, test, lab) install what they need first, so
# this file must also work where PostgreSQL's pg_config is not there yet.

EXTENSION = mongo_tail
MODULE_big = mongo_tail
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" mongo_tail.control)

SRCS := $(sort $(wildcard src/*.c src/*/*.c))
OBJS = $(SRCS:.c=.o)

# The install script is one file made of one part a room.
SQL_PARTS := $(sort $(wildcard sql/[0-9]*.sql))
DATA_built = sql/mongo_tail--$(EXTVERSION).sql

# libmongoc and libbson changed their pkg-config names with 2.0.
MONGOC ?= $(shell pkg-config --exists mongoc2 2>/dev/null && echo mongoc2 || echo libmongoc-1.0)
BSON ?= $(if $(filter mongoc2,$(MONGOC)),bson2,libbson-1.0)
# The servers' and drivers' own headers by -isystem: their warnings are theirs.
system_headers = $(patsubst -I%,-isystem %,$(1))
MONGOC_CFLAGS := $(call system_headers,$(shell pkg-config --cflags $(MONGOC) 2>/dev/null))
MONGOC_LIBS := $(shell pkg-config --libs $(MONGOC) 2>/dev/null)
BSON_CFLAGS := $(call system_headers,$(shell pkg-config --cflags $(BSON) 2>/dev/null))
BSON_LIBS := $(shell pkg-config --libs $(BSON) 2>/dev/null)
PCRE_LIBS := $(shell pkg-config --libs libpcre2-8 2>/dev/null)

# The ring asserts its invariants where the compiler does; ASSERTIONS=1 keeps them.
PG_CPPFLAGS = -I$(CURDIR)/src $(MONGOC_CFLAGS) $(if $(ASSERTIONS),,-DNDEBUG)
# PostgreSQL itself switches the truncation warnings off; here they are on.
PG_CFLAGS = -Wall -Wextra -Wformat-truncation -Wstringop-truncation \
	-Werror=implicit-function-declaration -MMD -MP $(EXTRA_CFLAGS)
SHLIB_LINK = $(MONGOC_LIBS) $(PCRE_LIBS) -Wl,--version-script=src/mongo_tail.map $(EXTRA_LDFLAGS)

EXTRA_CLEAN = $(OBJS:.o=.d) build/flags test/unit/run_vectors \
	build/unit build/asan build/tsan build/coverage build/fuzz build/log

PG_CONFIG ?= pg_config
# Debian's client brings pg_config and PGXS, but not the server's headers.
PGXS := $(if $(wildcard $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)/postgres.h),\
	$(shell $(PG_CONFIG) --pgxs 2>/dev/null))
# No bitcode: inlining into queries gains nothing here, and it needs clang.
override with_llvm = no
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)
override CPPFLAGS := $(patsubst -I$(includedir_server),-isystem $(includedir_server),\
	$(patsubst -I$(includedir_internal),-isystem $(includedir_internal),\
	$(patsubst -I/usr/include/%,-isystem /usr/include/%,$(CPPFLAGS))))
else
all install:
	@echo "pg_config or the server's headers are not there: run 'make deps' as root, or give PG_CONFIG=/path/to/pg_config" >&2; exit 1
clean:
	rm -rf $(OBJS) $(EXTRA_CLEAN) mongo_tail.so sql/mongo_tail--*.sql
.PHONY: all install clean
endif

sql/mongo_tail--$(EXTVERSION).sql: $(SQL_PARTS) mongo_tail.control Makefile
	cat /dev/null $(SQL_PARTS) > $@

mongo_tail.so: src/mongo_tail.map

# What runs for every entry of the oplog, or document, is worth the compiler's time.
HOT_OBJS = $(filter src/oplog/%.o src/ring/ring.o src/base/oplog_stream.o src/base/change_record.o \
	src/convert/bson_to_%.o src/convert/jsonb_%.o src/base/collection_reader.o src/fdw/collection_row.o,$(OBJS))
$(HOT_OBJS): CFLAGS += -O3 -fno-semantic-interposition

# Other flags, another compiler or another PostgreSQL: compile anew.
build/flags: force
	@mkdir -p build
	@printf '%s\n' '$(CC) $(CPPFLAGS) $(CFLAGS) $(EXTVERSION)' > $@.new; \
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(OBJS): build/flags
-include $(wildcard $(OBJS:.o=.d))

.PHONY: force
force:

include test/lab/unit.mk
include test/lab/lab.mk
