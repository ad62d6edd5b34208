"""What the extension leaves in the catalogs, whichever file made it."""

OBJECTS = """
    SELECT pg_describe_object(d.classid, d.objid, 0) AS object, d.classid, d.objid
      FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid
     WHERE e.extname = 'mongo_tail' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'"""


def test_every_object_has_a_comment(pg):
    # An array type and a table's row type come with their type and table.
    bare = pg.execute(f"""
        SELECT object FROM ({OBJECTS}) o
         WHERE obj_description(o.objid, o.classid::regclass::name) IS NULL
           AND o.classid NOT IN ('pg_cast'::regclass, 'pg_amop'::regclass, 'pg_amproc'::regclass)
           AND NOT EXISTS (SELECT FROM pg_type t WHERE o.classid = 'pg_type'::regclass AND t.oid = o.objid
                                                   AND (t.typelem <> 0 AND t.typlen = -1
                                                        OR EXISTS (SELECT FROM pg_class c
                                                                    WHERE c.oid = t.typrelid AND c.relkind <> 'c')))
         ORDER BY 1""").fetchall()
    assert bare == []


def test_public_is_granted_nothing(pg):
    # But what makes a type usable: whoever is granted rows of a tail must be
    # able to read, order and hash their positions.
    granted = pg.execute(f"""
        WITH type_support AS (
            SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend]::oid[]) AS oid FROM pg_type
            UNION SELECT oprcode::oid FROM pg_operator
            UNION SELECT amproc::oid FROM pg_amproc
            UNION SELECT castfunc FROM pg_cast
            UNION SELECT aggtransfn::oid FROM pg_aggregate
            UNION SELECT aggfnoid::oid FROM pg_aggregate WHERE aggsortop <> 0)
        SELECT object, a.privilege_type
          FROM ({OBJECTS}) o
          LEFT JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
          LEFT JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid
          CROSS JOIN LATERAL aclexplode(CASE WHEN p.oid IS NOT NULL
                                             THEN coalesce(p.proacl, acldefault('f', p.proowner))
                                             ELSE coalesce(c.relacl, acldefault('r', c.relowner)) END) a
         WHERE (p.oid IS NOT NULL OR c.oid IS NOT NULL) AND a.grantee = 0
           AND o.objid NOT IN (SELECT oid FROM type_support)
         ORDER BY 1""").fetchall()
    assert granted == []
