--
-- Conditions on collections: what of WHERE is left to MongoDB, as a superset and in its exact form
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mongo_tail;
RESET client_min_messages;
\getenv directory PG_ABS_SRCDIR
\set plans :directory '/sql/include/plans.psql'
\i :plans
\getenv uri MT_URI
CREATE SERVER filters FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri :'uri');
CREATE USER MAPPING FOR CURRENT_USER SERVER filters;
CREATE TYPE filter_mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN filter_positive AS integer CHECK (VALUE > 0);
CREATE FOREIGN TABLE filtered (
	_id text, i2 smallint, i integer, i8 bigint, f real, d double precision, n numeric, p numeric(10, 2),
	t text, c text COLLATE "C", v varchar(5) COLLATE "C", b char(3), m filter_mood, y boolean,
	at timestamptz, lt timestamp, s timestamptz(0), day date, u uuid, o mongo_tail.objectid,
	tags text[], doc jsonb, bytes bytea, positive filter_positive,
	below integer OPTIONS (field 'a.b.c'), element integer OPTIONS (field 'a.0'),
	loose integer OPTIONS (on_mismatch 'null'), loose_text text OPTIONS (on_mismatch 'null'),
	whole jsonb OPTIONS (field '$')
) SERVER filters OPTIONS (database 'filter_regress', collection 'c');

SET TimeZone = 'UTC';
SET mongo_tail.enable_projection = off;

-- the filter of a clause, and the exact one if there is one
CREATE FUNCTION filter_of(clause text, exact boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	query text;
	is_exact boolean := false;
BEGIN
	PERFORM set_config('mongo_tail.exact_filters', exact::text, true);
	FOR line IN SELECT pg_temp.plan('SELECT i FROM filtered WHERE ' || clause) LOOP
		IF line ~ 'Reads Nothing: true' THEN query := 'nothing'; END IF;
		IF line ~ 'MongoDB Query: ' THEN
			query := regexp_replace(line, '^.*?"filter" : (.*?)(, "collation" : .*)? }$', '\1');
		END IF;
		is_exact := is_exact OR line ~ 'MongoDB Filter Is Exact: true';
	END LOOP;
	query := regexp_replace(query, '^\{ +\}$', 'everything');
	RETURN CASE WHEN exact AND NOT is_exact THEN 'none' ELSE query END;
END $$;
CREATE PROCEDURE filters(VARIADIC clauses text[]) LANGUAGE plpgsql AS $$
DECLARE
	clause text;
BEGIN
	FOREACH clause IN ARRAY clauses LOOP
		RAISE NOTICE E'%\n  superset  %\n  exact     %', clause, filter_of(clause, false), filter_of(clause, true);
	END LOOP;
END $$;
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- equality and order
CALL filters('i = 5', 'i < 5', 'i >= 5', 'i <> 5', 'i BETWEEN 2 AND 6', 'i = 5000000000', 'i8 > 5', 'i2 <= 7');
CALL filters('d = 0.5', 'd < 0.5', 'd > 0.5', 'd <> 0.5', 'd = ''NaN''', 'd < ''NaN''', 'd > ''NaN''', 'f = 0.5', 'f = 0.1::float8', 'f < 0.5');
CALL filters('n = 5', 'n < 5', 'n > 0.3', 'n = 0.3', 'n <> 0.3', 'n >= 12345678901234567890123456789012345', 'p = 0.25', 'p = 0.125', 'p < 1');
CALL filters('t = ''x''', 't < ''x''', 'c < ''x''', 'c >= ''65a1''', 'c = ''65a1b2c3d4e5f60718293a4b''', 't <> ''x''', 'v = ''toolong''', 'v > ''x''',
	'b = ''a''', 'b < ''a''', '_id = ''x''');
CALL filters('m = ''ok''', 'm >= ''ok''', 'm <> ''ok''', 'y', 'NOT y', 'y IS NOT TRUE', 'y IS UNKNOWN');
CALL filters('at < ''1969-12-31 23:59:59.9995Z''', 'at = ''2024-02-29 00:00:00.0005Z''', 'at > ''infinity''', 'at <= ''infinity''',
	'at >= ''2024-02-29''::date', 'at = ''2024-02-29''::timestamp', 'lt < ''2024-02-29''::timestamptz', 's = ''2024-02-29Z''', 's < ''2024-02-29Z''',
	'day = ''2024-02-29''', 'day > ''2024-02-29''', 'day < ''2024-02-29 12:00''::timestamp');
-- what is made of a date, as a range about it
CALL filters('at::date = ''2024-02-29''', 'at::date < ''2024-02-29''', '''2024-02-29''::date <= at::date', 'at::date <> ''2024-02-29''', 'NOT (at::date <> ''2024-02-29'')',
	'at::date BETWEEN ''2024-02-29'' AND ''2024-03-01''', 'at::date IN (''2024-02-29'', ''2025-01-01'', NULL)', 'at::date >= ALL (''{2024-02-29,2025-01-01}'')',
	'lt::date = ''2024-02-29''', 'at::timestamp >= ''2024-02-29''', 'lt::timestamptz < ''2024-02-29Z''', 'day::timestamptz < ''2024-02-29Z''',
	'day = ''2024-02-29Z''::timestamptz', '(at AT TIME ZONE ''Europe/Berlin'')::date = ''2024-02-29''', 'at::date < ''infinity''', 'at::date > ''infinity''',
	'at::date > ''294276-12-31''', 'at::date > ''5000000-01-01''', 'at::date < ''4713-01-01 BC''');
CALL filters('date_trunc(''month'', at) = ''2024-02-01Z''', 'date_trunc(''hour'', lt) > ''2024-02-29''', 'date_trunc(''day'', at, ''Asia/Kolkata'') <= ''2024-02-29Z''',
	'date_trunc(''week'', day) = ''2024-02-26''', 'date_trunc(''month'', at)::date = ''2024-02-01''', 'date_trunc(''day'', at, ''FOO+100'') = ''2024-02-29Z''',
	'date_trunc(''fortnight'', at) = ''2024-02-29Z''', 'date_trunc(t, at) = ''2024-02-29Z''');
CALL filters('extract(year FROM at) = 2024', 'extract(year FROM lt) >= 2023.5', 'date_part(''year'', day) < -1', 'extract(year FROM at)::int IN (2020, 2024)',
	'extract(year FROM at) = ''NaN''', 'extract(year FROM at) < ''NaN''', 'extract(month FROM at) = 2', 'extract(year FROM at) <> 2024');
SET TimeZone = 'FOO+100';
CALL filters('at::date = ''2024-02-29''');
SET TimeZone = 'UTC';
CALL filters('u = ''00000000-0000-0000-0000-000000000001''', 'u > ''00000000-0000-0000-0000-000000000001''',
	'o = ''65a1b2c3d4e5f60718293a4b''', 'o < ''65a1b2c3d4e5f60718293a4b''', 'bytes < ''a''');

-- lists
CALL filters('i IN (1, 2, NULL)', 'i NOT IN (1, 2)', 'i NOT IN (1, NULL)', 'n IN (1, 0.3)', 'i = ANY (''{}'')', 'i <> ALL (''{}'')', 'i < ANY (''{3,5}'')',
	'i >= ALL (''{3,5}'')', 'c LIKE ANY (''{a%,b}'')');

-- NULL
CALL filters('i IS NULL', 'i IS NOT NULL', 'loose IS NULL', 'loose IS NOT NULL', 'loose_text IS NULL', 'p IS NULL', 'doc IS NULL', 'doc IS NOT NULL',
	'tags IS NULL', 'below IS NULL', 'element IS NULL', 'i IS DISTINCT FROM 5', 'i IS NOT DISTINCT FROM 5', 'i IS NOT DISTINCT FROM NULL');

-- paths
CALL filters('below = 5', 'below > 5', 'element = 5', 'element <> 5', 'positive = 5');

-- LIKE
CALL filters('t LIKE ''ab%''', 't LIKE ''a_c''', 't LIKE ''%a.b''', 't LIKE ''a%b%c''', 't LIKE ''65a%''', 't LIKE ''a\%b''', 't NOT LIKE ''x%''', 't ^@ ''x''', 'v LIKE ''x%''',
	't ILIKE ''x%''', 't ~ ''^x''', 'b LIKE ''a%''');

-- NOT, AND, OR
CALL filters('NOT (i = 5 OR n > 3)', 'i = 5 OR d > 0.5', 'i = 5 AND length(t) > 1', 'i = 5 OR length(t) > 1', 'NOT (i BETWEEN 2 AND 6)', '(i > 5) IS FALSE');

-- casts between numbers
CALL filters('i::numeric < 5.5', 'i = 5.5', 'i::float8 >= 5.5', 'i8::float8 = 5', 'n::float8 = 5', 'i::text = ''5''');

-- arrays
CALL filters('tags @> ''{x,y}''', '''{x}'' <@ tags', 'tags && ''{x,y}''', '''x'' = ANY (tags)', 'tags = ''{x}''', 'bytes = ''a''::bytea AND false');

-- json
CALL filters('doc ->> ''k'' = ''v''', 'doc ->> ''k'' = ''5''', 'doc ->> ''k'' IN (''a'', ''true'')', 'doc -> ''a'' ->> ''b'' = ''v''', 'doc #>> ''{a,0,b}'' = ''v''', 'doc[''a''][''b''] = ''5''',
	'doc -> ''k'' = ''5''', 'doc @> ''{"k": 1, "a": {"b": ["x"]}}''', 'doc ? ''k''', 'doc ?| ''{k,j}''', 'doc ?& ''{k,j}''', '(doc ->> ''k'')::int > 5', 'doc ->> ''k'' IS NOT NULL',
	'whole ->> ''k'' = ''v''', 'whole @> ''{"a": {"b": 1}}''', 'whole ? ''k''', 'doc ->> ''a.b'' = ''v''', 'doc ->> ''$a'' = ''v''', 'doc -> 0 = ''5''', 'doc ->> ''k'' <> ''v''');

-- jsonpath
CALL filters('doc @@ ''$.a.b == 5''', 'doc @@ ''$.a.b > 0.5''', 'doc @@ ''5 >= $.a.b''', 'doc @@ ''$.k == "v"''', 'doc @@ ''$.k == null''', 'doc @@ ''$.k > "v"''',
	'doc @@ ''$.k == 5 && $.j != 1''', 'doc @@ ''$.k != 5''', 'doc @@ ''strict $.k == 5''', 'doc @@ ''$[*] == 5''', 'doc @@ ''$.k[*].j[*] == 5''',
	'doc -> ''a'' @@ ''$.b == 5''', 'whole @@ ''$.k == 5''', 'whole @@ ''$ == 5''', 'NOT doc @@ ''$.k == 5''');
CALL filters('doc @? ''$.a.b''', 'doc @? ''$''', 'doc @? ''$.a.b ? (@ == 5)''', 'doc @? ''$.a[*] ? (@.b > 5).c''', 'doc @? ''$.a[*] ? (@.b[*] > 5)''',
	'whole @? ''$ ? (@.k == 5)''', 'doc @? ''$.a ? (@.b == $.c)''', 'doc @? ''$."a.b"''', 'doc @? ''$."$a"''', 'doc @? ''$."0"''', 'doc @? ''$.*''',
	'doc @? ''$.k == 5''', 'doc @? ''strict $.k''');

-- parameters
SET plan_cache_mode = force_generic_plan;
PREPARE by_id(text) AS SELECT i FROM filtered WHERE _id = $1;
SELECT pg_temp.plan($$EXECUTE by_id('x')$$);
PREPARE by_list(int, int) AS SELECT i FROM filtered WHERE i IN ($1, $2) AND t LIKE $3;
SELECT pg_temp.plan($$EXECUTE by_list(1, 2, 'x%')$$);
PREPARE by_day(date, date[]) AS SELECT i FROM filtered WHERE at::date = $1 OR at::date = ANY ($2);
SELECT pg_temp.plan($$EXECUTE by_day('2024-02-29', '{2024-02-29}')$$);

-- too long to be exact: never half of it
CREATE TEMP TABLE many AS SELECT array_agg(n || repeat('x', 100)) AS values FROM generate_series(1, 60000) n;
SET mongo_tail.exact_filters = on;
SELECT i FROM filtered WHERE t = ANY ((SELECT values FROM many)::text[]);
RESET mongo_tail.exact_filters;
SELECT i FROM filtered WHERE t = ANY ((SELECT values FROM many)::text[]);

-- switched off
SET mongo_tail.enable_filter = off;
CALL filters('i = 5');

DROP SERVER filters CASCADE;
DROP FUNCTION filter_of(text, boolean);
DROP PROCEDURE filters(text[]);
DROP TYPE filter_mood;
DROP DOMAIN filter_positive;
