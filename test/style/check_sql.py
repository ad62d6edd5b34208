"""check_sql.py FILE...: beside every CREATE in the SQL parts stand its COMMENT and its REVOKE.

A relation, function, procedure, aggregate or type has REVOKE ... FROM PUBLIC
in the same file, and everything that can have a comment has one.

What makes a base type usable is left to PUBLIC: the type, what reads, prints,
compares, hashes and casts it, its min and max.  Whoever is granted rows of a
tail must be able to read and order them.  An integration test asks the same of
the catalogs.
"""

import re
import sys

KINDS = ("FUNCTION|PROCEDURE|AGGREGATE|VIEW|TABLE|TYPE|DOMAIN|SEQUENCE|OPERATOR CLASS|OPERATOR FAMILY|"
         "FOREIGN DATA WRAPPER")
REVOKED = {"FUNCTION", "PROCEDURE", "AGGREGATE", "VIEW", "TABLE", "TYPE", "DOMAIN", "SEQUENCE"}
# REVOKE has one word for all relations and one for all routines.
REVOKE_WORDS = {"VIEW": "(?:TABLE )?", "TABLE": "(?:TABLE )?", "AGGREGATE": "FUNCTION ",
                "PROCEDURE": "(?:PROCEDURE|ROUTINE) ", "FUNCTION": "(?:FUNCTION|ROUTINE) "}
CREATE = re.compile(rf"\bCREATE (?:OR REPLACE )?(?:UNLOGGED )?({KINDS}) (?:IF NOT EXISTS )?([\w.]+)\s*(;)?", re.I)


TYPE_SUPPORT = re.compile(
    r"\b(?:INPUT|OUTPUT|RECEIVE|SEND|FUNCTION|PROCEDURE|SFUNC|COMBINEFUNC) ?= ?([\w.]+)"
    r"|\bWITH FUNCTION ([\w.]+)|\bFUNCTION \d+ (?:\([^)]*\) ?)?([\w.]+)", re.I)


def plain(text):
    """Without comments, literals and dollar quotes."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r"--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'", blank, text, flags=re.S)


def check(path):
    with open(path, encoding="utf-8") as file:
        text = plain(file.read())
    problems = []
    spaced = re.sub(r"\s+", " ", text)
    support = {name for match in TYPE_SUPPORT.finditer(spaced) for name in match.groups() if name}
    for match in CREATE.finditer(spaced):
        kind, name, shell = match.group(1).upper(), match.group(2), match.group(3)
        if kind == "TYPE" and shell:
            continue
        if not re.search(rf"\bCOMMENT\s+ON\s+{kind}\s+{re.escape(name)}(?![\w.])", text, re.I):
            problems.append(f"{path}: no COMMENT ON {kind} {name}")
        definition = spaced[match.end():spaced.find(";", match.end())]
        of_a_type = (name in support or kind == "TYPE" and re.search(r"\bINPUT ?=", definition, re.I)
                     or kind == "AGGREGATE" and re.search(r"\bSORTOP ?=", definition, re.I))
        if kind in REVOKED and not of_a_type:
            word = REVOKE_WORDS.get(kind, kind + " ").replace(" ", r"\s+")
            revoke = rf"\bREVOKE\s+[\w\s,]+?\s+ON\s+{word}(.*?)\s+FROM\s+PUBLIC\s*;"
            lists = re.findall(revoke, text, re.I | re.S)
            if not any(re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", names) for names in lists):
                problems.append(f"{path}: no REVOKE ... ON {kind} {name} FROM PUBLIC")
    return problems


def main():
    problems = [p for path in sys.argv[1:] for p in check(path)]
    print("\n".join(problems + [f"sql: {len(sys.argv) - 1} parts, {len(problems)} objects without COMMENT or REVOKE"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
