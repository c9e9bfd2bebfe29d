"""What every login may do with every relation and function, tried out: `python -m tests.policies.grants URL` would write it; the test compares it.

Nothing is asked of the catalogue but the names: each verb is carried out (on no row) as the login, in each of its roles, and counts as allowed
unless PostgreSQL says "permission denied".
"""
from collections import defaultdict

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from queries.schema import LOGINS

_RELATIONS = """select c.relname as name, c.relkind as kind, a.attname as col, format_type(a.atttypid, a.atttypmod) as type, a.attgenerated <> '' or a.attidentity = 'a' as fixed
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
   where c.relnamespace = 'desk'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') order by c.relname, a.attnum"""
_SEQUENCES = "select relname from pg_class where relnamespace = 'desk'::regnamespace and relkind = 'S' order by 1"
_FUNCTIONS = """select p.oid::regprocedure::text as name, array(select r.rolname from pg_roles r where r.rolname = any (:roles) and has_function_privilege(r.rolname, p.oid, 'execute')
    order by r.rolname) as roles from pg_proc p where p.pronamespace = 'desk'::regnamespace order by 1"""


def tried(urls: dict[str, str]) -> dict[str, dict[str, dict[str, list[str]]]]:
    """{"relation" | "function": {name: {verb: who may}}}; verbs: select, insert, delete, truncate, update (with its columns), execute. Who: roles, as
    login where it is one without a role."""
    owner = create_engine(urls["admin"], poolclass=NullPool)
    with owner.connect() as conn:
        columns, kinds = defaultdict(list), {}
        for row in conn.execute(text(_RELATIONS)):
            columns[row.name].append(row)
            kinds[row.name] = row.kind
        roles = sorted({role for all_ in LOGINS.values() for role in all_} | set(LOGINS))
        functions = {row.name: {"execute": list(row.roles)} for row in conn.execute(text(_FUNCTIONS), {"roles": roles})}
        sequences = list(conn.execute(text(_SEQUENCES)).scalars())
    relations = {name: defaultdict(list) for name in [*columns, *sequences]}
    for login, its in LOGINS.items():
        engine = create_engine(urls[login], poolclass=NullPool, connect_args={"options": "-c search_path=desk"})
        with engine.connect() as conn:
            for role in (None, *its):
                for name, has in columns.items():
                    verbs = {"select": f"select 1 from desk.{name} limit 0"}
                    if kinds[name] in "rp":
                        verbs |= {"delete": f"delete from desk.{name} where false", "truncate": f"truncate desk.{name} cascade"}
                        free = next((one for one in has if not one.fixed), None)
                        if free is not None:
                            verbs["insert"] = f'insert into desk.{name} ("{free.col}") select null::{free.type} where false'
                        verbs |= {f"update {one.col}": f'update desk.{name} set "{one.col}" = null where false' for one in has if not one.fixed}
                    for verb, statement in verbs.items():
                        if _may(conn, role, statement):
                            relations[name][verb].append(role or login)
                for name in sequences:
                    if _may(conn, role, f"select last_value from desk.{name}"):
                        relations[name]["select"].append(role or login)
    return {"relation": {name: _folded(verbs, len([one for one in columns[name] if not one.fixed])) for name, verbs in relations.items()}, "function": functions}


def _may(conn, role: str | None, statement: str) -> bool:
    try:
        if role:
            conn.execute(text(f"set local role {role}"))
        conn.execute(text("set local app.user_id = '0'"))
        conn.execute(text(statement))
        return True
    except DBAPIError as error:
        return "permission denied" not in str(error.orig)
    finally:
        conn.rollback()


def _folded(verbs: dict[str, list[str]], columns: int) -> dict[str, list[str]]:
    """Updates of columns by who may: "update" for all of them, "update a, b" for some."""
    made = {verb: sorted(who) for verb, who in verbs.items() if not verb.startswith("update ")}
    of = defaultdict(list)
    for verb, who in verbs.items():
        if verb.startswith("update "):
            for one in who:
                of[one].append(verb.removeprefix("update "))
    by = defaultdict(list)
    for one, its in of.items():
        by["update" if len(its) == columns else f"update {', '.join(sorted(its))}"].append(one)
    return made | {verb: sorted(who) for verb, who in by.items()}


def written(found: dict) -> str:
    """The matrix as TOML. r_X_all, a member of r_X, stands only where the two differ."""
    lines = ["# Who may do what in the database: every verb on every relation, every function. Written by tests/policies/grants.py from what was tried out,",
             "# read by people; tests/policies/test_grants.py fails where it differs, so a new table or function that does not stand here fails.", ""]
    for kind in ("relation", "function"):
        for name, verbs in found[kind].items():
            lines += [f"[{kind}.'{name}']", *(f'"{verb}" = "{" ".join(_short(who))}"' for verb, who in sorted(verbs.items())), ""]
    return "\n".join(lines)


def _short(who: list[str]) -> list[str]:
    return [one for one in who if not (one.endswith("_all") and one.removesuffix("_all") in who)] or ["-"]
