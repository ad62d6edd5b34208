# mongo_tail: MongoDB, live, inside PostgreSQL.
#
# The targets for people are listed by `make help`.  Those that need nothing
# but root and a network (demo, test, lab) install what they need first.

EXTENSION = mongo_tail
MODULE_big = mongo_tail
VERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" mongo_tail.control)

OBJS = $(patsubst %.c,%.o,$(wildcard src/*.c src/*/*.c))

# The install script is one file made of one part a room.
SQL_PARTS = $(sort $(wildcard sql/[0-9]*.sql))
DATA_built = sql/mongo_tail--$(VERSION).sql

MONGOC ?= $(shell pkg-config --exists mongoc2 2>/dev/null && echo mongoc2 || echo libmongoc-1.0)
# The servers' and drivers' own headers by -isystem: their warnings are theirs.
MONGOC_CFLAGS = $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(MONGOC) 2>/dev/null))
MONGOC_LIBS = $(shell pkg-config --libs $(MONGOC) 2>/dev/null)
PCRE_LIBS = $(shell pkg-config --libs libpcre2-8 2>/dev/null)

PG_CPPFLAGS = -I$(CURDIR)/src $(MONGOC_CFLAGS)
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -Wno-cast-function-type
SHLIB_LINK = $(MONGOC_LIBS) $(PCRE_LIBS)

EXTRA_CLEAN = build

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(PGXS),)
with_llvm = no
include $(PGXS)
endif

sql/mongo_tail--$(VERSION).sql: $(SQL_PARTS) mongo_tail.control
	cat $(SQL_PARTS) > $@
