"""The state at a past moment is what it was when that moment passed: written, lived, and asked again later."""
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests import makers
from tests.makers import cn

_STATE = text("""select complaint_id, clock, state, unit_id, charged_unit_id, category_id, days_late, days_used, due_at, left_at > :t as open
                   from state(:t) where complaint_id = any (:ids) order by 1, 2""")
MOMENTS = 20


@pytest.fixture
def conn(desk):
    engine = create_engine(desk["admin"], poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("set role desk_owner"))
        connection.execute(text("set search_path = desk, public"))
        connection.execute(text("set timezone = 'UTC'"))
        yield connection


def ask(conn, ids, t):
    return [tuple(row) for row in conn.execute(_STATE, {"ids": ids, "t": t})]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_past_is_as_it_was_lived(conn, seed):
    dice = Random(seed)
    head = makers.make_unit(conn, "总行")
    units = [makers.make_unit(conn, f"分行{n}", head) for n in range(5)]
    now, ids, lived, pending, redos = cn("2026-01-05 09:00"), [], [], {}, {}
    status = {}                                        # complaint -> open | done | excluded
    for _ in range(MOMENTS):
        for _ in range(dice.randint(6, 14)):
            now += timedelta(minutes=dice.randint(1, 600))
            act = dice.choice(["receive", "receive", "move", "recategorise", "done", "done", "return", "reopen", "redone", "exclude", "restore",
                               "withdraw", "verify", "charge"])
            some = [c for c in ids if status[c] == {"move": "open", "recategorise": "open", "done": "open", "return": "done", "reopen": "done",
                                                    "exclude": "open", "restore": "excluded", "withdraw": "open"}.get(act)]
            one = dice.choice(some) if some else None
            if act == "receive":
                one = makers.make_complaint(conn, received=now - timedelta(minutes=dice.randint(0, 1)), unit=dice.choice(units),
                                            category=dice.choice(["violation", "service_attitude", "financial_crime", "work_error"]),
                                            channel=dice.choice(["phone", "web"]))
                ids.append(one)
                status[one] = "open"
            elif act == "verify" and pending:
                one = dice.choice(sorted(pending))
                makers.verify(conn, one, pending.pop(one), now, dice.choice(["voluntary", "pressured"]))
                gone = conn.execute(text("select excluded_at is not null from complaint where complaint_id = :c"), {"c": one}).scalar_one()
                status[one] = "excluded" if gone else status[one]
            elif act == "redone" and redos:
                one = dice.choice(sorted(redos))
                makers.redone(conn, one, redos.pop(one), now)
            elif act == "charge" and ids:
                makers.event(conn, dice.choice(ids), "charged", now, unit_to=dice.choice(units))
            elif one is None:
                continue
            elif act == "move":
                makers.move(conn, one, dice.choice(units), now)
            elif act == "recategorise":
                makers.recategorise(conn, one, dice.choice(["violation", "service_attitude", "work_error", "service_product"]), now)
            elif act == "done":
                makers.reply(conn, one, now)
                status[one] = "done"
            elif act == "return" and one not in redos:
                makers.return_for_redo(conn, one, now)
                status[one] = "open"
            elif act == "reopen" and one not in redos:
                redos[one] = makers.reopen(conn, one, now)
            elif act == "exclude" and one not in pending:
                makers.exclude(conn, one, now)
                status[one] = "excluded"
            elif act == "restore" and one not in pending:
                makers.restore(conn, one, now)
                ended = conn.execute(text("select ended_at is not null from complaint where complaint_id = :c"), {"c": one}).scalar_one()
                status[one] = "done" if ended else "open"
            elif act == "withdraw" and one not in pending:
                pending[one] = makers.withdraw(conn, one, now)
        now += timedelta(minutes=1)
        lived.append((now, list(ids), ask(conn, ids, now)))
        now += timedelta(hours=dice.randint(1, 60))
    # A verified withdrawal counts from the day it was requested (product.md §4): that alone is known only later.
    late_known = {(row.complaint_id): (row.requested_at, row.verified_at) for row in conn.execute(text(
        "select complaint_id, requested_at, verified_at from withdrawal where result = 'voluntary' and not late"))}
    assert sum(len(answers) for _, _, answers in lived) > 400
    for moment, then, answers in lived:
        again = ask(conn, then, moment)
        assert len(again) == len(answers)
        for before, after in zip(answers, again):
            requested, verified = late_known.get(before[0], (None, None))
            if requested and requested <= moment < verified and after[2] == "X":
                continue
            assert after == before, moment
    assert not conn.execute(text("select check_spans()")).all()


def test_an_answer_changes_when_the_definition_does(conn):
    """The comparison above can fail: with another order of states the answers differ."""
    one = makers.make_complaint(conn, received=cn("2026-03-02 10:00"), unit=makers.make_unit(conn, "支行"), category="service_attitude")
    before = ask(conn, [one], cn("2026-03-09 08:30"))
    conn.execute(text("""create or replace function clock_state(t timestamptz, target_at timestamptz, due_at timestamptz, ended_at timestamptz,
        excluded_at timestamptz) returns "char" language sql immutable as $$ select 'C'::"char" $$"""))
    assert ask(conn, [one], cn("2026-03-09 08:30")) != before
    conn.rollback()
