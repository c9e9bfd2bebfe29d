"""The grant matrix (safety.md §6, 10): grants.toml against what each login really may, tried out verb by verb."""
import os
import tomllib
from pathlib import Path

from tests.policies import grants

FILE = Path(__file__).with_name("grants.toml")
COMPLAINTS = {"complaint", "complaint_text", "clock_span", "open_stretch", "event", "hop", "reply", "call_back", "urge", "redo", "withdrawal", "delay", "contest",
              "directive", "rectification", "regulator_report", "released"}


def test_every_login_may_what_the_matrix_says_and_nothing_else(desk):
    found = grants.written(grants.tried(desk))
    if os.environ.get("WRITE_GRANTS"):
        FILE.write_text(found, "utf-8")
    kept, new = tomllib.loads(FILE.read_text("utf-8")), tomllib.loads(found)
    for kind in ("relation", "function"):
        differs = {name: (kept[kind].get(name), new[kind].get(name)) for name in kept[kind].keys() | new[kind].keys() if kept[kind].get(name) != new[kind].get(name)}
        assert differs == {}, "WRITE_GRANTS=1 writes the file anew; read what changed"


def test_a_table_that_is_not_listed_is_found(desk):
    from sqlalchemy import create_engine, text
    engine = create_engine(desk["admin"])
    with engine.begin() as conn:
        conn.execute(text("create table desk.forgotten (a int)"))
        conn.execute(text("grant select on desk.forgotten to r_regulator"))
    found = tomllib.loads(grants.written(grants.tried(desk)))["relation"]
    assert found["forgotten"] == {"select": "r_regulator"} and "forgotten" not in tomllib.loads(FILE.read_text("utf-8"))["relation"]
    engine.dispose()


def test_the_matrix_itself_is_as_the_specification_wants_it():
    relation = tomllib.loads(FILE.read_text("utf-8"))["relation"]
    for name, verbs in relation.items():
        for verb, who in verbs.items():
            who = set(who.split()) - {"-"}
            assert not who & {"desk_app", "desk_regulator", "desk_intake", "desk_gate"}, f"{name}: a login without a role may nothing"
            assert verb not in ("delete", "truncate") or not who, f"{name}: nothing is deleted"
            if verb != "select":
                assert not who & {"r_regulator", "r_auditor", "r_leader"} - ({"r_leader"} if name == "request" else set()), f"{name}: {verb}"    # the key of a directive
            if name in COMPLAINTS:
                assert not who & {"r_regulator", "r_auditor", "r_admin"}, f"{name}: {verb}"
    for name in ("complainant", "credential", "session", "set_up_link", "federated_identity", "sign_in_attempt", "sign_in_failure", "app_user", "user_scope"):
        assert relation[name] == {}, f"{name}: granted to nobody"
    assert set(relation["audit"]["select"].split()) == {"r_auditor"} and set(relation["audit"]) == {"select"}
    assert relation["outbox"] == {} and set(relation["urge"]["update"].split()) == {"r_intake"}, "acts and messages by functions alone"
    assert "r_supervisor" not in relation["complaint_text"].get("select", "")
