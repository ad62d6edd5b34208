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
    granted = pg.execute(f"""
        SELECT object, a.privilege_type
          FROM ({OBJECTS}) o
          LEFT JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
          LEFT JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid
          CROSS JOIN LATERAL aclexplode(CASE WHEN p.oid IS NOT NULL
                                             THEN coalesce(p.proacl, acldefault('f', p.proowner))
                                             ELSE coalesce(c.relacl, acldefault('r', c.relowner)) END) a
         WHERE (p.oid IS NOT NULL OR c.oid IS NOT NULL) AND a.grantee = 0
           -- Operators of a type must work for whoever may see a value of it.
           AND NOT EXISTS (SELECT FROM pg_type t JOIN pg_depend d ON d.refobjid = t.oid
                            WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                              AND d.refclassid = 'pg_type'::regclass AND p.proname LIKE 'position%')
         ORDER BY 1""").fetchall()
    assert granted == []
