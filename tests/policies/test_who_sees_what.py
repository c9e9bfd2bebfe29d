"""Who sees which complaint (product.md §7), role by role, through the logins; identities; what a regulator gets."""
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog
from pandas.errors import DatabaseError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from queries import acts, complaints, db, oversight
from tests import makers
from tests.makers import cn

MARCH = cn("2026-03-02 10:00")


@pytest.fixture(scope="module")
def office(desk_module):
    """总行 with 甲行 (below it 甲一), 乙行 and a service centre; a complaint for every relation; an account for every role."""
    with owner(desk_module) as conn:
        u, c = {}, {}
        u["head"] = makers.make_unit(conn, "总行", kind="head")
        for key, name, above in (("a", "甲行", "head"), ("b", "乙行", "head"), ("svc", "客服中心", "head"), ("product", "产品部", "head"), ("a1", "甲一支行", "a")):
            u[key] = makers.make_unit(conn, name, u[above])
        new = lambda unit, **more: makers.make_complaint(conn, received=MARCH, unit=u[unit], **{"about_unit_id": u[unit]} | more)     # noqa: E731
        c["a"], c["a1"], c["b"] = new("a"), new("a1"), new("b")
        c["about_a"] = new("b", about_unit_id=u["a"])
        c["former"] = new("a", about_unit_id=u["b"])
        makers.move(conn, c["former"], u["b"], cn("2026-03-03 10:00"))
        c["accepted"] = new("b", accepting_unit_id=u["svc"])
        c["dispatched"] = new("a", accepting_unit_id=u["head"], source_unit_id=u["svc"])
        c["led"] = new("product", about_unit_id=u["b"])
        c["to_rectify"] = new("b")
        conn.execute(text("insert into rectification (complaint_id, rectification_no, unit_id, measure) values (:c, 1, :u, '改')"), {"c": c["to_rectify"], "u": u["product"]})
        c["crime"] = new("a", category="financial_crime")
        c["about_wang"] = new("a", person="王 五")
        c["private"] = new("a", title="客户 138 0000 1111 来电")
        conn.execute(text("""insert into complaint_text (complaint_id, text, demand) values (:c, '身份证１１０１０１１９９００３０７１２３４，电话１３８００００１１１１', '回电13800001111')"""), {"c": c["private"]})
        conn.execute(text("select keep_persons(array[:c], array['张三丰'], array['13800001111'])"), {"c": c["private"]})
        for login, role, whole, crime, units in (
                ("boss", "supervisor", True, True, ()), ("lead", "leader", True, False, ()), ("sup_a", "supervisor", False, False, ("a",)),
                ("a", "unit", False, False, ("a",)), ("b", "unit", False, False, ("b",)), ("ab", "unit", False, False, ("a1", "b")),
                ("svc", "service", False, False, ("svc",)), ("dep", "department", False, False, ("product",)),
                ("disc", "discipline", True, False, ()), ("reg", "regulator", True, False, ()), ("reg_a", "regulator", False, False, ("a",)),
                ("aud", "auditor", True, True, ()), ("adm", "admin", True, True, ()), ("王五", "unit", False, False, ("a",)), ("none", "supervisor", False, False, ())):
            id_ = conn.execute(text("""insert into app_user (login, name, role, all_units, sees_restricted) values (:l, :l, :r, :w, :c) returning user_id"""),
                               {"l": login, "r": role, "w": whole, "c": crime}).scalar_one()
            for unit in units:
                conn.execute(text("insert into user_scope values (:i, :u)"), {"i": id_, "u": u[unit]})
    return desk_module, u, c


class owner:
    """The schema's owner, for what the office itself would do."""

    def __init__(self, urls):
        self.engine = create_engine(urls["admin"], poolclass=NullPool)

    def __enter__(self):
        self.begun = self.engine.begin()
        conn = self.begun.__enter__()
        conn.execute(text("set local role desk_owner"))
        conn.execute(text("set local search_path = desk, public"))
        return conn

    def __exit__(self, *how):
        return self.begun.__exit__(*how)


def sees(office, login, relation="complaint"):
    urls, _, c = office
    names = {id_: key for key, id_ in c.items()}
    with db.reading(urls, db.viewer_of(urls, login)) as conn:
        return {names[one] for one in conn.execute(text(f"select complaint_id from {relation}")).scalars()}


EVERYTHING = {"a", "a1", "b", "about_a", "former", "accepted", "dispatched", "led", "to_rectify", "about_wang", "private"}
SEEN = {
    "boss": EVERYTHING | {"crime"}, "lead": EVERYTHING,
    "sup_a": {"a", "a1", "about_a", "dispatched", "about_wang", "private"}, "a": {"a", "a1", "about_a", "dispatched", "about_wang", "private"},
    "王五": {"a", "a1", "about_a", "dispatched", "private"},                     # never the one about himself
    "b": {"b", "about_a", "former", "accepted", "led", "to_rectify"},
    "ab": {"a1", "b", "about_a", "former", "accepted", "led", "to_rectify"},     # two scopes
    "svc": {"accepted", "dispatched"}, "dep": {"led", "to_rectify"}, "disc": {"crime"}, "none": set(),
}


@pytest.mark.parametrize("login", SEEN)
def test_each_role_sees_its_complaints(office, login):
    assert sees(office, login) == SEEN[login]


@pytest.mark.parametrize("login", SEEN)
def test_functions_that_run_as_the_owner_judge_as_the_policies_do(office, login):
    urls, _, c = office
    with db.reading(urls, db.viewer_of(urls, login)) as conn:
        by_policy = set(conn.execute(text("select complaint_id from complaint")).scalars())
        assert set(conn.execute(text("select visible(:ids)"), {"ids": list(c.values())}).scalars()) == by_policy


@pytest.mark.parametrize("login", ["aud", "adm", "reg", "reg_a"])
@pytest.mark.parametrize("relation", ["complaint", "clock_span", "open_stretch", "complaint_text", "event", "complainant", "urge", "reply"])
def test_auditors_administrators_and_regulators_read_no_complaint(office, login, relation):
    urls, *_ = office
    with db.reading(urls, db.viewer_of(urls, login)) as conn, pytest.raises(DBAPIError, match="permission denied"):
        conn.execute(text(f"select * from {relation}"))


def test_the_raw_text_is_granted_to_nobody(office):
    urls, _, c = office
    for login in SEEN:
        with db.reading(urls, db.viewer_of(urls, login)) as conn, pytest.raises(DBAPIError, match="permission denied"):
            conn.execute(text("select * from complaint_text"))


def test_a_former_holder_sees_its_own_stretch_and_no_more(office):
    urls, u, c = office
    with db.reading(urls, db.viewer_of(urls, "a")) as conn:
        spans = conn.execute(text("select unit_id, valid_to < 'infinity' as over from clock_span where complaint_id = :c and clock = 'r'"), {"c": c["former"]}).all()
        assert [tuple(row) for row in spans] == [(u["a"], True)]
        number = conn.execute(text("select number_of_own(:c)"), {"c": c["former"]}).scalar_one()
        for child in ("event", "hop", "urge", "reply"):
            assert conn.execute(text(f"select count(*) from {child} where complaint_id = :c"), {"c": c["former"]}).scalar_one() == 0
        moment = cn("2026-03-20 10:00")
        assert complaints.whole(conn, number, as_of=moment) is None
        own = complaints.own_stretches(conn, number, as_of=moment)
        assert list(own["unit"]) == ["甲行"] and own["valid_to"][0] == cn("2026-03-03 10:00")
        row = complaints.by_id(conn, [c["former"]], as_of=moment).iloc[0]
        assert (row["complaint_no"], row["title"], row["unit"], row["former"]) == (number, "", "甲行", True)
    with db.reading(urls, db.viewer_of(urls, "svc")) as conn:
        assert complaints.own_stretches(conn, number, as_of=moment).empty
        assert conn.execute(text("select number_of_own(:c)"), {"c": c["b"]}).scalar_one() is None


def test_nobody_counts_a_complaint_about_themselves(office):
    urls, _, c = office
    viewer = db.viewer_of(urls, "王五")
    assert viewer.apart == (c["about_wang"],), "and so it stands in the cache's key"
    with db.reading(urls, viewer) as conn:
        assert conn.execute(text("select count(*) from clock_span where complaint_id = :c"), {"c": c["about_wang"]}).scalar_one() == 0


def test_an_account_counts_from_and_until(office):
    urls, _, c = office
    for column, moment in (("valid_until", "clock_timestamp() - interval '1 second'"), ("valid_from", "clock_timestamp() + interval '1 hour'")):
        viewer = db.viewer_of(urls, "sup_a")
        with owner(urls) as conn:
            conn.execute(text(f"update app_user set {column} = {moment} where login = 'sup_a'"))
        try:
            with pytest.raises(db.NotAllowed):
                db.viewer_of(urls, "sup_a")
            with db.reading(urls, viewer) as conn:                    # an open door is shut as well
                assert conn.execute(text("select count(*) from complaint")).scalar_one() == 0
                assert conn.execute(text("select count(*) from clock_span")).scalar_one() == 0
                assert conn.execute(text("select count(*) from viewer")).scalar_one() == 0
        finally:
            with owner(urls) as conn:
                conn.execute(text("update app_user set valid_from = null, valid_until = null where login = 'sup_a'"))


# -- identities

HIDDEN = {
    "13812345678": "138****5678", "138 1234 5678": "138**** 5678", "138-1234-5678": "138****-5678", "１３８１２３４５６７８": "138****5678",
    "1 3 8 1 2 3 4 5 6 7 8": "1 3 8**** 5 6 7 8", "+86 13812345678": "+86 138****5678", "①③⑧12345678": "138****5678", "电话13812345678。": "电话138****5678。",
    "110101199003071234": "110***********234", "11010119900307123X": "110***********23X", "１１０１０１１９９００３０７１２３Ｘ": None, "110101 19900307 1234": None,
    "6222 0212 3456 7890 123": None, "0574-87654321": "0574****4321", "a.b@x.com": "a***@x.com", "zhang ＠ qq.com": None, "一三八一二三四五六七八": "*******",
}


@pytest.mark.parametrize("raw", HIDDEN)
def test_identity_in_free_text_is_masked(office, raw):
    urls, *_ = office
    with db.reading(urls, db.viewer_of(urls, "lead")) as conn:
        shown = conn.execute(text("select mask_text(:t)"), {"t": raw}).scalar_one()
        again = conn.execute(text("select mask_text(:t)"), {"t": shown}).scalar_one()
    if HIDDEN[raw] is not None:
        assert shown == HIDDEN[raw]
    plain = "".join(ch for ch in shown if ch.isdigit())
    assert len(plain) < 11 and "*" in shown and again == shown
    assert "zhang" not in shown


@pytest.mark.parametrize("raw", ["2026-11-10 受理，第3件", "金额50000.00元", "20261110-0189", "3月16日 24时", "利率4.75%，期限36个月", "三个工作日", "", "95580"])
def test_other_figures_stay(office, raw):
    urls, *_ = office
    with db.reading(urls, db.viewer_of(urls, "lead")) as conn:
        assert conn.execute(text("select mask_text(:t)"), {"t": raw}).scalar_one() == raw


def test_a_title_is_kept_masked_and_its_words_with_the_identity(office):
    urls, _, c = office
    with db.reading(urls, db.viewer_of(urls, "lead")) as conn:
        assert conn.execute(text("select title from complaint where complaint_id = :c"), {"c": c["private"]}).scalar_one() == "客户 138**** 1111 来电"
        found = conn.execute(text("select text, demand from texts_of(:c)"), {"c": c["private"]}).one()
        assert "13800001111" not in found.text + found.demand and "110101" not in found.text
    with owner(urls) as conn:
        assert conn.execute(text("select title from complainant where complaint_id = :c"), {"c": c["private"]}).scalar_one() == "客户 138 0000 1111 来电"


def revealed(office, login, complaint, why):
    urls, *_ = office
    with db.writing(urls, db.viewer_of(urls, login)) as conn:
        return acts.reveal(conn, complaint=complaint, reason=why)


def audited(office, act):
    with owner(office[0]) as conn:
        return conn.execute(text("select a.complaint_id, a.params, u.login from audit a join app_user u using (user_id) where act = :a order by audit_id"), {"a": act}).all()


def test_a_reveal_needs_a_reason_a_role_and_the_scope_and_leaves_its_trace(office):
    _, _, c = office
    before = len(audited(office, "reveal"))
    shown = revealed(office, "boss", c["private"], "回访核实客户身份 13800001111")
    assert (shown["name"], shown["phone"], shown["title"]) == ("张三丰", "13800001111", "客户 138 0000 1111 来电")
    trace = audited(office, "reveal")
    assert len(trace) == before + 1 and trace[-1].login == "boss" and trace[-1].complaint_id == c["private"]
    assert "13800001111" not in str(trace[-1].params) and "回访核实" in trace[-1].params["reason"]
    for why in ("", "   ", "x"):
        with pytest.raises(acts.Refused, match="no_reason"):
            revealed(office, "boss", c["private"], why)
    for login in ("lead", "a", "dep", "reg", "aud", "adm"):
        with pytest.raises(DBAPIError, match="permission denied"):
            revealed(office, login, c["private"], "回访核实")
    with pytest.raises(acts.Refused, match="not_there"):
        revealed(office, "sup_a", c["b"], "回访核实")
    assert len(audited(office, "reveal")) == before + 1


def test_where_the_trace_fails_nothing_is_shown(office):
    urls, _, c = office
    with owner(urls) as conn:
        conn.execute(text("create function fail() returns trigger language plpgsql as $$ begin raise exception 'the disk of the audit is full'; end $$"))
        conn.execute(text("create trigger fail before insert on audit for each row when (new.act = 'reveal') execute function fail()"))
    try:
        with pytest.raises(DBAPIError, match="disk of the audit"):
            revealed(office, "boss", c["private"], "回访核实")
    finally:
        with owner(urls) as conn:
            conn.execute(text("drop trigger fail on audit"))
            conn.execute(text("drop function fail()"))


def test_a_reveal_is_refused_by_a_read_only_door(office):
    urls, _, c = office
    with db.reading(urls, db.viewer_of(urls, "boss")) as conn, pytest.raises(DBAPIError, match="read-only"):
        conn.execute(text("select * from reveal(:c, '回访核实')"), {"c": c["private"]})


# -- regulators

def test_a_regulator_sees_what_was_released_and_masked(office):
    urls, u, c = office
    moment = cn("2026-04-20 10:00")
    with owner(urls) as conn:
        conn.execute(text("select tick_now(:t)"), {"t": moment})
    with db.writing(urls, db.viewer_of(urls, "boss")) as conn:
        assert acts.release(conn, complaint=c["private"], shown=True, reason="配合检查") and not acts.release(conn, complaint=c["private"], shown=True, reason="配合检查")
        assert acts.release(conn, complaint=c["b"], shown=True, reason="配合检查")
    with db.writing(urls, db.viewer_of(urls, "boss")) as conn, pytest.raises(acts.Refused, match="restricted"):
        acts.release(conn, complaint=c["crime"], shown=True, reason="配合检查")
    for login, numbers in (("reg", 2), ("reg_a", 1)):
        with db.reading(urls, db.viewer_of(urls, login)) as conn:
            rows = oversight.released(conn)
            assert len(rows) == numbers
            mine = rows[rows["title"] != ""].iloc[0]
            assert "person" not in rows and "handler" not in rows and mine["unit_id"] in (u["a"], u["b"])
            words = oversight.released_text(conn, mine["complaint_no"])
            assert "13800001111" not in str(dict(words)) + mine["title"] and "****" in words["text"]
    with db.writing(urls, db.viewer_of(urls, "boss")) as conn:
        assert acts.release(conn, complaint=c["private"], shown=False, reason="误放")
    with db.reading(urls, db.viewer_of(urls, "reg_a")) as conn:
        assert oversight.released(conn).empty
    for login in ("sup_a", "lead", "a"):
        with db.writing(urls, db.viewer_of(urls, login)) as conn, pytest.raises((DBAPIError, acts.Refused)):
            acts.release(conn, complaint=c["b"], shown=True, reason="配合检查")


@pytest.mark.parametrize(("first", "months", "deep", "by"), [(date(2026, 3, 2), 1, 1, "none"), (date(2026, 3, 1), 0, 1, "none"), (date(2026, 3, 1), 1, 3, "none"),
                                                             (date(2026, 3, 1), 1, 1, "person"), (date(2999, 1, 1), 1, 1, "none")])
def test_only_whole_past_months_two_levels_one_dimension(office, first, months, deep, by):
    urls, *_ = office
    with db.reading(urls, db.viewer_of(urls, "reg")) as conn, pytest.raises(DatabaseError):
        oversight.figures(conn, first=first, months=months, deep=deep, by=by)
    with db.reading(urls, db.viewer_of(urls, "boss")) as conn, pytest.raises(DatabaseError, match="permission denied"):
        oversight.figures(conn, first=date(2026, 3, 1), months=1, deep=1, by="none")


@given(arrays(int, st.tuples(st.integers(1, 7), st.sampled_from([0, 2, 3, 5])), elements=st.one_of(st.integers(0, 6), st.integers(0, 60))))
@settings(max_examples=60, deadline=None)
def test_no_hidden_number_follows_from_what_is_shown(hide, inner):
    """Solved as a linear programme: all totals hold, no number is negative; a small one must have room."""
    table = np.pad(inner, ((0, 1), (0, 1))) if inner.shape[1] else np.array([[3 + i * 7 % 11] for i in range(inner.shape[0])] + [[0]])
    if inner.shape[1]:
        table[-1, :-1], table[:-1, -1], table[-1, -1] = inner.sum(0), inner.sum(1), inner.sum()
    else:
        table[-1, 0] = table[:-1, 0].sum()
    hidden = hide(table)
    assert all(hidden[i, j] for i, j in np.ndindex(table.shape) if 1 <= table[i, j] <= 4), "a small number is shown"
    if not hidden.any():
        return
    rows, cols = table.shape
    lines = []
    for j in range(cols):
        line = np.zeros(table.shape)
        line[:-1, j], line[-1, j] = 1, -1
        lines.append(line.ravel())
    for i in range(rows if cols > 1 else 0):
        line = np.zeros(table.shape)
        line[i, :-1], line[i, -1] = 1, -1
        lines.append(line.ravel())
    bounds = [(0, None) if h else (v, v) for v, h in zip(table.ravel(), hidden.ravel())]
    for k in np.flatnonzero((table.ravel() > 0) & (table.ravel() < oversight.SMALL)):
        aim = np.zeros(table.size)
        aim[k] = 1
        low, high = (linprog(sign * aim, A_eq=np.array(lines), b_eq=np.zeros(len(lines)), bounds=bounds, method="highs") for sign in (1, -1))
        top = np.inf if high.status == 3 else -high.fun
        assert top - low.fun >= 1, (table, hidden, k)


@pytest.fixture(scope="module")
def hide(office):
    urls, *_ = office
    with owner(urls) as conn:
        def ask(table):
            out = conn.execute(text("select hide_small(cast(:n as bigint[]), null, array_fill(false, array[:r, :c]))"),
                               {"n": table.tolist(), "r": table.shape[0], "c": table.shape[1]}).scalar_one()
            return np.array(out, dtype=bool)
        yield ask


def test_the_regulators_figures_are_the_desks_where_they_are_shown(office):
    """Forty complaints more in each branch: every shown number equals the raw count, every raw count from 1 to 4 is not shown."""
    urls, u, _ = office
    with owner(urls) as conn:
        for unit, many in (("a1", 40), ("b", 33), ("svc", 3), ("product", 12)):
            for i in range(many):
                made = makers.make_complaint(conn, received=cn("2026-01-05 10:00"), unit=u[unit], about_unit_id=u[unit], category="service_attitude" if i % 3 else "violation")
                makers.reply(conn, made, cn("2026-01-06 10:00") if i % 5 else cn("2026-02-20 10:00"))
        conn.execute(text("select tick_now(clock_timestamp())"))
        raw = dict(conn.execute(text("""select p.name, count(*) from clock_span s join unit t on t.label = s.about_label join unit p on t.label between p.label and p.label_end and p.level = 1
                                         where s.clock = 'r' and s.received_at between '2026-01-01' and '2026-01-31' group by 1""")).all())
        names = dict(conn.execute(text("select unit_id, name from unit")).all())
    with db.reading(urls, db.viewer_of(urls, "reg")) as conn:
        for by in ("none", "category", "channel"):
            got = oversight.figures(conn, first=date(2026, 1, 1), months=1, deep=1, by=by)
            whole = got[got["value"] == 0].set_index("unit_id")
            for unit, row in whole.iterrows():
                if unit and not np.isnan(row["received"]):
                    assert row["received"] == raw[names[unit]]
                if unit and names[unit] == "客服中心":
                    assert np.isnan(row["received"]) and np.isnan(row["due"]) and np.isnan(row["late"])
            both = got.dropna(subset=["due", "kept", "late"])
            assert len(both) and (both["kept"] + both["late"] == both["due"]).all()
            assert not got[["received", "due", "kept", "late"]].isin([1, 2, 3, 4]).any().any()
