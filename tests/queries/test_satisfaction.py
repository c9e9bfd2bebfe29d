"""The office's calls: what the catalogue counts, what the two work lists show, and that both are the same complaints."""
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from queries import complaints, db, figures, satisfaction
from queries.indicators import CATALOGUE
from tests import makers
from tests.makers import cn

LISTS = ("low_score", "call_again")
MARCH = {"start": cn("2026-03-01"), "end": cn("2026-04-01")}
NOW = cn("2026-05-01 09:00")
CODES = ("satisfaction", "reach_rate", "call_back_rate", "unit_satisfaction", "gap_unit", "gap_office", "gap_contradicted", *LISTS)


@pytest.fixture
def conn(desk):
    engine = create_engine(desk["admin"], poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("set role desk_owner"))
        connection.execute(text("set search_path = desk, public"))
        connection.execute(text("set timezone = 'UTC'"))
        connection.execute(text("""insert into app_user (login, name, role, all_units, sees_restricted)
                                   values ('eye', '主任', 'leader', true, true)"""))
        connection.execute(text("""select set_config('app.user_id', user_id::text, true) from app_user where login = 'eye'"""))
        yield connection
        connection.rollback()


def call(conn, complaint, no, at, outcome, score=None, who="office", words=None):
    conn.execute(text("""insert into call_back (complaint_id, call_no, at, by_whom, outcome, score, words)
                         values (:id, :no, :at, :who, :outcome, :score, :words)"""),
                 {"id": complaint, "no": no, "at": cn(at), "who": who, "outcome": outcome, "score": score, "words": words})


def done(conn, unit, at="2026-03-10 10:00", **columns):
    """A complaint that was answered in March."""
    one = makers.make_complaint(conn, received=cn("2026-03-04 09:00"), unit=unit, about_unit_id=unit, title="手机13812345678办不了", **columns)
    makers.reply(conn, one, cn(at))
    makers.close(conn, one, cn(at))
    return one


@pytest.fixture
def cases(conn):
    """One complaint of each kind; the names say what the office has heard."""
    unit = makers.make_unit(conn, "宁波分行", makers.make_unit(conn, "总行"))
    made = {name: done(conn, unit) for name in (
        "content", "low", "low_called", "low_redone", "changed", "once", "twice", "thrice", "refused", "silent", "unit_only", "earlier")}
    made["anonymous"] = done(conn, unit, anonymous=True)
    call(conn, made["content"], 1, "2026-03-12 10:00", "answered", "basically")
    call(conn, made["content"], 2, "2026-03-11 10:00", "answered", "satisfied", "unit")
    call(conn, made["low"], 1, "2026-03-11 10:00", "answered", "satisfied", "unit")
    call(conn, made["low"], 2, "2026-03-20 10:00", "answered", "dissatisfied", words="打13912345678没人接")
    call(conn, made["low_called"], 1, "2026-03-12 10:00", "answered", "dissatisfied")
    call(conn, made["low_called"], 2, "2026-04-02 10:00", "answered", "satisfied", "unit")
    call(conn, made["low_redone"], 1, "2026-03-13 10:00", "answered", "dissatisfied")
    makers.reopen(conn, made["low_redone"], cn("2026-03-16 09:00"), cn("2026-03-17 09:00"))
    call(conn, made["changed"], 1, "2026-03-12 10:00", "answered", "dissatisfied")       # the last answer counts
    call(conn, made["changed"], 2, "2026-03-18 10:00", "answered", "satisfied")
    for name, times in (("once", 1), ("twice", 2), ("thrice", 3)):
        for no in range(times):
            call(conn, made[name], no + 1, f"2026-03-{12 + no} 10:00", "unreachable")
    call(conn, made["refused"], 1, "2026-03-12 10:00", "refused")
    call(conn, made["unit_only"], 1, "2026-03-12 10:00", "answered", "satisfied", "unit")
    call(conn, made["earlier"], 1, "2026-03-12 10:00", "answered", "satisfied")         # reached once: not called again
    call(conn, made["earlier"], 2, "2026-03-14 10:00", "unreachable")
    call(conn, made["anonymous"], 1, "2026-03-12 10:00", "answered", "dissatisfied")
    return {"unit": unit, **made}


def test_each_kind_is_counted_where_it_belongs(conn, cases):
    counts = figures.counts(conn, CODES, as_of=NOW, **MARCH).loc["all"]
    assert (counts.satisfaction_num, counts.satisfaction_den) == (3, 6), "content, changed, earlier of them and three low ones"
    assert (counts.reach_rate_num, counts.reach_rate_den) == (6, 10)
    assert (counts.call_back_rate_num, counts.call_back_rate_den) == (10, 12), "silent and unit_only were not called; anonymous left out"
    assert (counts.unit_satisfaction_num, counts.unit_satisfaction_den) == (4, 4), "never mixed with the office's"
    assert (counts.gap_unit_num, counts.gap_office_num, counts.gap_office_den) == (3, 1, 3)
    assert counts.gap_contradicted_den == 2, "low and low_called"
    assert (counts.low_score_num, counts.low_score_den) == (2, 3)
    assert counts.call_again_den == 2, "once and twice; three attempts are enough, a refusal is an answer"


def test_the_low_scores_with_what_was_said_and_what_followed(conn, cases):
    rows = satisfaction.calls(conn, "low_score", as_of=NOW, **MARCH)
    assert rows.complaint_id.tolist() == [cases["low"], cases["low_redone"], cases["low_called"]], "not followed up first, then the newest"
    assert [one if isinstance(one, str) else None for one in rows.step] == [None, "redo", "called"]
    assert rows.words[0] == "打139****5678没人接" and rows.title[0] == "手机138****5678办不了", "masked"
    assert rows.called_at[0] == cn("2026-03-20 10:00") and set(rows.total) == {3}
    assert rows.about_unit_id.tolist() == [cases["unit"]] * 3


def test_the_calls_to_repeat_with_how_often_was_tried(conn, cases):
    rows = satisfaction.calls(conn, "call_again", as_of=NOW, **MARCH)
    assert rows.complaint_id.tolist() == [cases["once"], cases["twice"]], "who waits longest first"
    assert rows.tried.tolist() == [1, 2]
    assert rows.called_at.tolist() == [cn("2026-03-12 10:00"), cn("2026-03-13 10:00")]


def test_as_it_was_on_an_earlier_day(conn, cases):
    then = cn("2026-03-15 09:00")
    counts = figures.counts(conn, CODES, as_of=then, **MARCH).loc["all"]
    assert counts.low_score_den == 3 and counts.low_score_num == 0, "changed was still low, low not yet called, nothing had followed"
    assert satisfaction.calls(conn, "low_score", as_of=then, **MARCH).complaint_id.tolist() == [cases["low_redone"], *sorted([cases["low_called"], cases["changed"]])]
    assert satisfaction.calls(conn, "call_again", as_of=cn("2026-03-12 12:00"), **MARCH).tried.tolist() == [1, 1, 1], "thrice had one attempt"


def test_another_period_is_empty(conn, cases):
    may = {"start": cn("2026-05-01"), "end": cn("2026-06-01")}
    for code in LISTS:
        assert satisfaction.calls(conn, code, as_of=NOW, **may).empty
    assert satisfaction.by_month(conn, as_of=NOW, **may).empty


# -- on the demo, for every role

def spans(conn):
    as_of = db.clock(conn)
    return dict(as_of=as_of, start=as_of - timedelta(days=200), end=as_of)


ROLES = ("supervisor", "leader", "unit", "service", "department", "discipline")


@pytest.mark.parametrize("role", ROLES)
def test_a_work_list_is_what_its_count_counts(bank, role):
    for login in [login for login, _, one in db.demo_accounts(bank) if one == role]:
        with db.reading(bank, db.viewer_of(bank, login), timeout_ms=60_000) as conn:
            assert differences(conn) == [], login


def differences(conn, **more):
    where, wrong = spans(conn) | more, []
    counts = figures.counts(conn, CODES, **where).loc["all"]
    for code in LISTS:
        rows = satisfaction.calls(conn, code, limit=10_000, **where)
        listed = complaints.listing(conn, code, limit=None, **where)
        if set(rows.complaint_id) != set(listed.complaint_id) or len(rows) != counts[f"{code}_den"] or len(set(rows.complaint_id)) != len(rows):
            wrong.append((code, len(rows), len(listed), int(counts[f"{code}_den"])))
        if len(rows) and set(rows.total) != {len(rows)}:
            wrong.append((code, "total"))
        followed = set(listed.complaint_id[listed.counted]) if CATALOGUE[code].num else set()
        if set(rows.complaint_id[rows.step.notna()]) != followed:
            wrong.append((code, "step"))
    if counts.low_score_den != counts.satisfaction_den - counts.satisfaction_num:
        wrong.append("a low score is whoever was not satisfied")
    months = satisfaction.by_month(conn, **where)
    whole = figures.counts(conn, satisfaction.MONTHLY, by="month", **where)
    if not months.equals(whole[whole.sum(axis=1) > 0].sort_index()[months.columns]):
        wrong.append("months")
    return wrong


def test_by_unit_category_and_channel_too(bank):
    with db.reading(bank, db.viewer_of(bank, "service"), timeout_ms=60_000) as conn:
        category, channel = conn.execute(text("select min(category_id), min(channel_id) from complaint")).one()
        unit = conn.execute(text("select unit_id from unit where name like '宁波分行'")).scalar_one()
        for more in ({"unit": unit}, {"category": category}, {"channel": channel}):
            assert differences(conn, **more) == []


def test_it_is_seen_when_a_list_asks_something_else(bank, monkeypatch):
    original = satisfaction._calls
    changed = CATALOGUE["call_again"].__class__(**{**CATALOGUE["call_again"].__dict__, "den": CATALOGUE["call_again"].den + " and office.tried < 2"})

    def other(code, few):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(CATALOGUE, "call_again", changed)
            return original.__wrapped__(code, few)
    monkeypatch.setattr(satisfaction, "_calls", other)
    with db.reading(bank, db.viewer_of(bank, "service"), timeout_ms=60_000) as conn:
        assert {one[0] for one in differences(conn)} == {"call_again"}
