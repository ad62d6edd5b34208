"""Every way to reach and to log in to MongoDB that options offer, on real servers: the uri's options, user mappings."""

import subprocess
import time

import psycopg
import pytest
from psycopg import sql

PASSWORDS = ["simple", "@:/%", "p@ss:w/rd%20?#[]&=+", "'\"\\ $(x)`;--", "%40%3A", "ü€ é", " leading and trailing ", "x" * 200]


@pytest.fixture(scope="module")
def guarded(lab_directory, unused_name):
    """A mongod with users, and documents in shop.things."""
    from harness import MongoServer, give_back_port
    server = MongoServer(lab_directory / unused_name("mongo"), auth=True)
    try:
        server.start().initiate()
        server.create_user("root", "r", ["root"])
        with server.client(username="root", password="r") as client:
            client.shop.things.insert_many([{"_id": i} for i in range(3)])
        yield server
    finally:
        server.kill9()
        give_back_port(server.port)


@pytest.fixture(scope="module")
def encrypted(lab_directory, unused_name, tls_files):
    """The same, that wants TLS and takes certificates for passwords."""
    from harness import MongoServer, give_back_port
    server = MongoServer(lab_directory / unused_name("mongo"), auth=True, tls=tls_files)
    root = {"username": "root", "password": "r"}
    try:
        server.start().initiate()
        server.create_user("root", "r", ["root"])
        server.create_user("plain", "p", ["readAnyDatabase"], login=root)
        server.create_user(tls_files.client_subject, None, [{"role": "read", "db": "shop"}], source="$external", login=root)
        with server.client(**root) as client:
            client.shop.things.insert_many([{"_id": i} for i in range(3)])
        yield server
    finally:
        server.kill9()
        give_back_port(server.port)


@pytest.fixture
def read(pg, new_server, unused_name):
    """read(uri, mapping, table options..., connection=pg): the _ids of shop.things that it sees."""
    def run(uri, user_mapping=None, connection=None, server_options=None, **table):
        connection = connection or pg
        name = new_server(connection, unused_name("options_"), uri, user_mapping, **(server_options or {}))
        options = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(k), sql.Literal(v)) for k, v in
                                     {"database": "shop", "collection": "things", **table}.items())
        connection.execute(sql.SQL("CREATE FOREIGN TABLE {} (_id int) SERVER {} OPTIONS ({})").format(
            sql.Identifier("t_" + name), sql.Identifier(name), options))
        return sorted(row[0] for row in connection.execute(f"SELECT _id FROM t_{name}"))
    return run


def refused(read, *arguments, **options):
    with pytest.raises(psycopg.Error) as caught:
        read(*arguments, **options)
    return caught.value


# Names and passwords


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_passwords(read, guarded, mechanism):
    root = {"username": "root", "password": "r"}
    for i, password in enumerate(PASSWORDS):
        name = f"{mechanism} {i}:@/%?{password[:3]}"
        with guarded.client(**root) as client:
            client.admin.command("createUser", name, pwd=password, roles=["readAnyDatabase"], mechanisms=[mechanism])
        named = {"username": name, "password": password}
        assert read(guarded.uri, {**named, "auth_mechanism": mechanism}) == [0, 1, 2], password
        # without it the two agree on one
        assert read(guarded.uri, named) == [0, 1, 2], password
        # Another beginning: libmongoc 2 looks for derived keys it has already by the first characters of a long password.
        wrong = "y" + password
        error = refused(read, guarded.uri, {**named, "password": wrong})
        assert error.sqlstate == "28P01" and "user mapping" in error.diag.message_hint
        assert wrong not in str(error)
    other = {"SCRAM-SHA-1": "SCRAM-SHA-256", "SCRAM-SHA-256": "SCRAM-SHA-1"}[mechanism]
    assert refused(read, guarded.uri, {**named, "auth_mechanism": other}).sqlstate == "28P01"


def test_no_credentials(read, guarded):
    assert refused(read, guarded.uri).sqlstate == "42501"


def test_auth_source(read, guarded):
    with guarded.client(username="root", password="r") as client:
        client.app.command("createUser", "local user", pwd="@:/%", roles=[{"role": "read", "db": "shop"}])
    named = {"username": "local user", "password": "@:/%"}
    assert read(guarded.uri, {**named, "auth_source": "app"}) == [0, 1, 2]
    assert read(guarded.uri + "&authSource=app", named) == [0, 1, 2]
    # the uri's database is the source, as MongoDB has it, and a user mapping has the last word
    assert read(guarded.uri.replace("/?", "/app?"), named) == [0, 1, 2]
    assert read(guarded.uri + "&authSource=nowhere", {**named, "auth_source": "app"}) == [0, 1, 2]
    assert refused(read, guarded.uri, named).sqlstate == "28P01"
    assert refused(read, guarded.uri + "&authSource=nowhere", named).sqlstate == "28P01"


# TLS and certificates


def test_tls(read, encrypted, tls_files):
    named = {"username": "plain", "password": "p"}
    uri = encrypted.uri + "&tls=true"
    assert read(f"{uri}&tlsCAFile={tls_files.ca}", named) == [0, 1, 2]
    assert read(f"{encrypted.uri}&ssl=true&tlsCAFile={tls_files.ca}", named) == [0, 1, 2]
    # it is told what is wrong, and who asks may say that it does not matter
    for bad in (f"{uri}&tlsCAFile={tls_files.foreign_ca}", uri):
        error = refused(read, bad, named)
        assert error.sqlstate == "08001" and "certificate" in error.diag.message_detail.lower()
    assert read(f"{uri}&tlsCAFile={tls_files.foreign_ca}&tlsAllowInvalidCertificates=true", named) == [0, 1, 2]
    assert read(f"{uri}&tlsInsecure=true", named) == [0, 1, 2]
    assert refused(read, encrypted.uri, named).sqlstate == "08001"
    assert refused(read, f"{uri}&tlsCAFile=/nonexistent.pem", named).sqlstate.startswith("08")


def test_tls_host_name(read, make_mongo, tls_files, tmp_path):
    """A certificate of another host is refused unless that is allowed."""
    elsewhere = tmp_path / "elsewhere.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=elsewhere",
               "-addext", "subjectAltName=DNS:elsewhere.example.com", "-keyout", tmp_path / "key", "-out", tmp_path / "crt"]
    subprocess.run(command, check=True, capture_output=True)
    elsewhere.write_text((tmp_path / "crt").read_text() + (tmp_path / "key").read_text())
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    (tmp_path / "crt").chmod(0o644)
    mongod = make_mongo(start=False, replica_set=None)
    mongod.extra += ["--tlsMode", "allowTLS", "--tlsCertificateKeyFile", str(elsewhere), "--tlsCAFile",
                     str(tmp_path / "crt"), "--tlsAllowConnectionsWithoutCertificates"]
    mongod.start()
    with mongod.client() as client:
        client.shop.things.insert_one({"_id": 5})
    uri = f"{mongod.uri}?tls=true&tlsCAFile={tls_files.ca.parent / 'elsewhere.crt'}"
    (tls_files.ca.parent / "elsewhere.crt").write_bytes((tmp_path / "crt").read_bytes())
    (tls_files.ca.parent / "elsewhere.crt").chmod(0o644)
    assert refused(read, uri).sqlstate == "08001"
    assert read(uri + "&tlsAllowInvalidHostnames=true") == [5]


def test_x509(read, encrypted, tls_files):
    uri = f"{encrypted.uri}&tls=true&tlsCAFile={tls_files.ca}"
    by_certificate = {"auth_mechanism": "MONGODB-X509", "tls_certificate_key_file": str(tls_files.client)}
    assert read(uri, by_certificate) == [0, 1, 2]
    assert read(uri, {**by_certificate, "username": tls_files.client_subject}) == [0, 1, 2]
    # the server's own certificate is no user's
    assert refused(read, uri, {**by_certificate, "username": "CN=somebody"}).sqlstate in ("28P01", "28000")
    assert refused(read, uri, {"auth_mechanism": "MONGODB-X509"}).sqlstate[:2] in ("28", "08", "HV")
    # it may read shop, and no more
    error = refused(read, uri, by_certificate, database="other")
    assert error.sqlstate == "42501" and "Grant" in error.diag.message_hint


def test_x509_with_a_locked_key(read, encrypted, tls_files):
    locked = tls_files.ca.parent / "locked.pem"
    secret = "key @:/% secret"
    key = subprocess.run(["openssl", "rsa", "-aes256", "-in", tls_files.client, "-passout", f"pass:{secret}"],
                         check=True, capture_output=True).stdout
    locked.write_bytes((tls_files.ca.parent / "client.crt").read_bytes() + key)
    locked.chmod(0o644)
    uri = f"{encrypted.uri}&tls=true&tlsCAFile={tls_files.ca}"
    mapping = {"auth_mechanism": "MONGODB-X509", "tls_certificate_key_file": str(locked)}
    assert read(uri, {**mapping, "tls_certificate_key_file_password": secret}) == [0, 1, 2]
    error = refused(read, uri, {**mapping, "tls_certificate_key_file_password": "wrong"})
    assert error.sqlstate[:2] in ("08", "HV") and "wrong" not in str(error)


def test_files_are_for_those_who_may_read_them(pg, connect, encrypted, tls_files):
    pg.execute("CREATE ROLE no_files LOGIN; GRANT USAGE ON FOREIGN DATA WRAPPER mongo_tail TO no_files;"
               "CREATE SERVER no_files FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri 'mongodb://h/');"
               "GRANT USAGE ON FOREIGN SERVER no_files TO no_files")
    try:
        stranger = connect(user="no_files")
        for statement in (
                f"CREATE SERVER x FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri 'mongodb://h/?tls=true&tlsCAFile={tls_files.ca}')",
                f"CREATE USER MAPPING FOR no_files SERVER no_files OPTIONS (tls_certificate_key_file '{tls_files.client}')",
                "CREATE USER MAPPING FOR no_files SERVER no_files OPTIONS (auth_mechanism 'MONGODB-X509')",
                "CREATE USER MAPPING FOR no_files SERVER no_files OPTIONS (auth_mechanism 'GSSAPI')",
                "CREATE USER MAPPING FOR no_files SERVER no_files OPTIONS (auth_mechanism 'MONGODB-AWS')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught:
                stranger.execute(statement)
            assert caught.value.diag.message_hint
    finally:
        pg.execute("DROP OWNED BY no_files CASCADE; DROP SERVER no_files CASCADE; DROP ROLE no_files")


# Where is read, and how


def queries_of(node):
    """How many finds and aggregates a node has run, of any client."""
    with node.client(direct=True) as client:
        counters = client.admin.command("serverStatus")["metrics"]["commands"]
        return sum(counters[name]["total"] for name in ("find", "aggregate"))


@pytest.fixture(scope="module")
def trio(lab_directory, unused_name):
    from harness import MongoReplicaSet, give_back_port
    replica_set = MongoReplicaSet(lab_directory / unused_name("set"), 3)
    try:
        replica_set.start()
        with replica_set.client() as client:
            client.get_database("shop", write_concern=pymongo_majority(3)).things.insert_many([{"_id": i} for i in range(3)])
            config = client.admin.command("replSetGetConfig")["config"]
            for member, (place, rack) in zip(config["members"], [("ny", "1"), ("ny", "2"), ("sf", "1")]):
                member["tags"] = {"dc": place, "rack": rack}
            config["version"] += 1
            client.admin.command("replSetReconfig", config)
        replica_set.wait_secondaries()
        yield replica_set
    finally:
        for node in replica_set.nodes:
            node.kill9()
            give_back_port(node.port)


def pymongo_majority(nodes):
    from pymongo import WriteConcern
    return WriteConcern(w=nodes, wtimeout=20000)


def who_answers(trio, run, times=3):
    """The nodes that ran what run() asked for."""
    before = [queries_of(node) for node in trio.nodes]
    for _ in range(times):
        assert run() == [0, 1, 2]
    after = [queries_of(node) for node in trio.nodes]
    return {node for node, b, a in zip(trio.nodes, before, after) if a - b >= times}


def test_read_preference_of_the_uri(read, trio):
    primary = trio.primary()
    secondaries = set(trio.nodes) - {primary}
    assert who_answers(trio, lambda: read(trio.uri)) == {primary}
    assert who_answers(trio, lambda: read(trio.uri + "&readPreference=primaryPreferred")) == {primary}
    for preference in ("secondary", "secondaryPreferred", "secondary&maxStalenessSeconds=120"):
        answering = who_answers(trio, lambda: read(f"{trio.uri}&readPreference={preference}"), 8)
        assert primary not in answering, preference
    for node, tags in zip(trio.nodes, ("dc:ny,rack:1", "dc:ny,rack:2", "dc:sf")):
        uri = f"{trio.uri}&readPreference=nearest&localThresholdMS=1000&readPreferenceTags={tags}"
        assert who_answers(trio, lambda: read(uri)) == {node}, tags
    # nobody has these tags; the next ones are asked for then
    node = next(iter(secondaries))
    tags = ("dc:ny,rack:1", "dc:ny,rack:2", "dc:sf")[trio.nodes.index(node)]
    uri = f"{trio.uri}&readPreference=secondary&readPreferenceTags=dc:mars&readPreferenceTags={tags}"
    assert who_answers(trio, lambda: read(uri)) == {node}
    error = refused(read, f"{trio.uri}&readPreference=secondary&readPreferenceTags=dc:mars&serverSelectionTimeoutMS=500")
    assert error.sqlstate == "08001"


def test_direct_connection(read, trio):
    secondary = next(node for node in trio.nodes if node is not trio.primary())
    uri = f"mongodb://{secondary.address}/?directConnection=true"
    assert who_answers(trio, lambda: read(uri)) == {secondary}


def test_unix_socket(read, mongo_server, mongo, pg_server):
    mongo.shop.things.drop()
    mongo.shop.things.insert_one({"_id": 9})
    socket = mongo_server.data / f"mongodb-{mongo_server.port}.sock"
    for path in (mongo_server.directory, mongo_server.data):
        path.chmod(0o755)
    socket.chmod(0o777)
    assert read(f"mongodb://{str(socket).replace('/', '%2F')}/?directConnection=true") == [9]
    mongo.drop_database("shop")


def test_srv_without_dns(read):
    """As far as a host without DNS can see: the names are looked up, and that fails."""
    started = time.monotonic()
    error = refused(read, "mongodb+srv://cluster0.nowhere.invalid/?serverSelectionTimeoutMS=500")
    assert error.sqlstate[:2] in ("08", "HV") and "SRV" in error.diag.message_detail
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("uri", ["mongodb://u:p@h/", "mongodb://h:x/", "mongo://h/", "mongodb://h/?readConcernLevel=snapshot",
                                 "mongodb://h/?authMechanism=SCRAM-SHA-1", "mongodb+srv://a.b.c:1/", "mongodb://h/?tls=2"])
def test_bad_uris(pg, uri):
    with pytest.raises(psycopg.Error) as caught:
        pg.execute(sql.SQL("CREATE SERVER bad FOREIGN DATA WRAPPER mongo_tail OPTIONS (uri {})").format(sql.Literal(uri)))
    assert caught.value.sqlstate == "HV024" and caught.value.diag.message_hint and caught.value.diag.message_detail


# What a table asks for, as MongoDB's profiler has seen it


@pytest.fixture
def asked(read, mongo_server, mongo, fresh_namespace):
    """asked(server options, table options...): the _ids that are seen, and the command that MongoDB was sent."""
    database = mongo[fresh_namespace]
    database.things.insert_many([{"_id": i, "kind": "even" if i % 2 == 0 else "odd", "parts": [10 + i, 20 + i]}
                                 for i in range(6)])
    database.create_collection("prof", capped=True, size=4096)

    def run(server_options=None, **table):
        database.command("profile", 0)
        database.drop_collection("system.profile")
        database.command("profile", 2)
        seen = read(mongo_server.uri, server_options=server_options, database=fresh_namespace, **table)
        database.command("profile", 0)
        commands = [entry["command"] for entry in database["system.profile"].find({"command.lsid": {"$exists": True}})
                    if {"find", "aggregate"} & set(entry["command"]) and entry.get("ns", "").endswith(".things")]
        return seen, commands[-1]
    return run


def test_filter_and_pipeline(asked):
    assert asked()[0] == [0, 1, 2, 3, 4, 5]
    seen, command = asked(filter='{"kind": "odd", "_id": {"$type": 16}}')
    assert seen == [1, 3, 5] and command["filter"]["kind"] == "odd"
    seen, command = asked(pipeline='[{"$unwind": "$parts"}, {"$project": {"_id": "$parts"}}]')
    assert seen == [10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 25] and "$unwind" in command["pipeline"][0]
    seen, command = asked(filter='{"kind": "odd"}', pipeline='[{"$set": {"_id": {"$add": ["$_id", 100]}}}]')
    assert seen == [101, 103, 105]
    assert asked(pipeline='[]')[0] == [0, 1, 2, 3, 4, 5] and asked(filter='{}')[0] == [0, 1, 2, 3, 4, 5]
    assert asked(pipeline='[{"$match": {"kind": "neither"}}]')[0] == []


def test_a_pipelines_conditions_are_of_its_documents(pg, new_server, unused_name, mongo_server, mongo, fresh_namespace):
    """WHERE is about what the pipeline leaves, not about what it was given."""
    mongo[fresh_namespace].things.insert_many([{"_id": i, "v": i} for i in range(5)])
    name = new_server(pg, unused_name("options_"), mongo_server.uri)
    pg.execute(f"""CREATE FOREIGN TABLE {name}_t (_id int, v int) SERVER {name} OPTIONS (database '{fresh_namespace}',
        collection 'things', filter '{{"v": {{"$gte": 1}}}}', pipeline '[{{"$set": {{"v": {{"$multiply": ["$v", 10]}}}}}}]')""")

    def ids(rest):
        return [row[0] for row in pg.execute(f"SELECT _id FROM {name}_t {rest}").fetchall()]
    assert ids("WHERE v = 10") == [1] and ids("WHERE v = 1") == []
    assert ids("WHERE v > 15 ORDER BY v DESC LIMIT 2") == [4, 3]
    assert pg.execute(f"SELECT count(*), sum(v), max(v) FROM {name}_t").fetchone() == (4, 100, 40)
    assert pg.execute(f"SELECT v FROM {name}_t WHERE _id = 3").fetchone() == (30,)
    assert pg.execute(f"SELECT v FROM {name}_t WHERE _id = 0").fetchone() is None


# What is switched off -> a query, and what stands in its plan while it is on.
SWITCHES = {
    "enable_filter": ("SELECT _id FROM {0} WHERE _id = 3", '"_id" : 3'),
    "enable_sort": ("SELECT _id FROM {0} ORDER BY _id", '"sort" :'),
    "enable_limit": ("SELECT _id FROM {0} LIMIT 2", '"limit" :'),
    "enable_aggregate": ("SELECT sum(k) FROM {0}", '"$group" :'),
    "enable_join": ("SELECT a._id, b.k FROM {0} a JOIN {0} b ON b._id = a.k", '"$lookup" :'),
    "enable_projection": ("SELECT k FROM {0}", '"projection" :'),
    "enable_parallel": ("SELECT _id FROM {0} WHERE length(pad) > 0", "Parallel Foreign Scan"),
}


@pytest.fixture
def switched(pg, new_server, unused_name, mongo_server, mongo, fresh_namespace):
    """is_sent(switch, of the server, of the table): whether MongoDB gets that switch's query."""
    mongo[fresh_namespace].things.insert_many([{"_id": i, "k": i, "pad": "x" * 2000} for i in range(200)])
    pg.execute("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;"
               "SET cpu_operator_cost = 10; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_nestloop = off")
    rows = {}

    def is_sent(switch, server, table):
        query, sign = SWITCHES[switch]
        name = new_server(pg, unused_name("options_"), mongo_server.uri, **({switch: server} if server else {}))
        option = f", {switch} '{table}'" if table else ""
        pg.execute(f"CREATE FOREIGN TABLE {name}_t (_id int, k int, pad text) SERVER {name} OPTIONS (database "
                   f"'{fresh_namespace}', collection 'things'{option})")
        query = query.format(f"{name}_t")
        answer = sorted(pg.execute(query).fetchall())
        assert rows.setdefault(switch, answer) == answer, "the answer is the same"
        return sign in "\n".join(row[0] for row in pg.execute(f"EXPLAIN (VERBOSE) {query}"))
    yield is_sent
    for setting in (*SWITCHES, "enable_pushdown"):
        pg.execute(f"RESET mongo_tail.{setting}")


@pytest.mark.parametrize("switch", SWITCHES)
def test_switches(pg, switched, switch):
    """Off at the session is off; else the table has the last word, then the server."""
    cases = [(None, None, True), ("off", None, False), ("off", "on", True), ("on", "off", False), (None, "off", False)]
    for server, table, expected in cases:
        assert switched(switch, server, table) is expected, (server, table)
    for setting in (switch, "enable_pushdown"):
        pg.execute(f"SET mongo_tail.{setting} = off")
        assert not any(switched(switch, server, table) for server, table, _ in cases), setting
        pg.execute(f"RESET mongo_tail.{setting}")
    # and each switches off no more than its own
    for other in SWITCHES:
        if other != switch:
            pg.execute(f"SET mongo_tail.{other} = off")
    assert switched(switch, None, None)


def test_a_table_over_its_server(asked):
    for option, key, on, off in (("no_cursor_timeout", "noCursorTimeout", True, None),
                                 ("allow_disk_use", "allowDiskUse", True, False)):
        assert key not in asked()[1]
        assert asked({option: "on"})[1].get(key) is on
        assert asked({option: "off"}, **{option: "on"})[1].get(key) is on
        assert asked({option: "on"}, **{option: "off"})[1].get(key) is off
        assert asked(**{option: "off"})[1].get(key) is off
    for expected, server_options, table in (("majority", {}, {}), ("local", {"read_concern": "local"}, {}),
                                            ("majority", {"read_concern": "local"}, {"read_concern": "majority"}),
                                            ("available", {"read_concern": "local"}, {"read_concern": "available"}),
                                            ("linearizable", {}, {"read_concern": "linearizable"})):
        assert asked(server_options, **table)[1]["readConcern"]["level"] == expected, (server_options, table)


def test_read_concern_of_the_uri(pg, mongo_server, mongo, fresh_namespace, new_server, unused_name, asked, monkeypatch):
    monkeypatch.setattr(type(mongo_server), "uri", f"{mongo_server.uri}&readConcernLevel=available")
    assert asked()[1]["readConcern"]["level"] == "available"
    assert asked({"read_concern": "local"})[1]["readConcern"]["level"] == "local"


def test_batch_size(pg, new_server, unused_name, mongo_server, mongo, fresh_namespace):
    mongo[fresh_namespace].things.insert_many([{"_id": i} for i in range(1000)])

    def batches(server_options, **table):
        name = new_server(pg, unused_name("options_"), mongo_server.uri, **server_options)
        options = "".join(f", {k} '{v}'" for k, v in table.items())
        pg.execute(f"CREATE FOREIGN TABLE {name}_t (_id int) SERVER {name} OPTIONS (database '{fresh_namespace}', "
                   f"collection 'things'{options})")
        plan = "\n".join(row[0] for row in pg.execute(f"EXPLAIN (ANALYZE) SELECT _id FROM {name}_t"))
        return int(plan.split("MongoDB Batches: ")[1].split()[0])
    assert batches({}) <= 3
    assert batches({"batch_size": 100}) >= 10
    assert 40 <= batches({"batch_size": 1000}, batch_size=20) <= 60


def test_read_preference_options(read, trio):
    primary = trio.primary()
    secondaries = set(trio.nodes) - {primary}
    assert who_answers(trio, lambda: read(trio.uri, read_preference="secondary")) <= secondaries
    assert who_answers(trio, lambda: read(trio.uri, server_options={"read_preference": "secondary"}), 6) <= secondaries
    assert primary not in who_answers(trio, lambda: read(trio.uri + "&readPreference=secondary"), 6)
    assert who_answers(trio, lambda: read(trio.uri + "&readPreference=secondary", read_preference="primary")) == {primary}
    assert who_answers(trio, lambda: read(trio.uri, server_options={"read_preference": "secondary"},
                                          read_preference="primary")) == {primary}
