"""product.md §3: the cases a unit disputes, through the real triggers, with the dates given there."""
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from queries import clocks
from tests.makers import (
    change,
    close,
    cn,
    code_id,
    end_of,
    event,
    exclude,
    make_complaint,
    make_unit,
    move,
    recategorise,
    redone,
    reopen,
    reply,
    reply_source,
    restore,
    return_for_redo,
    state_of,
    verify,
    withdraw,
)

@pytest.fixture
def units(conn):
    head = make_unit(conn, "总行", kind="head")
    branch = make_unit(conn, "一级分行", head)
    return {name: make_unit(conn, name, branch) for name in "PQR"}


@pytest.fixture(autouse=True)
def spans_hold(conn):
    """After every case the stored spans are those of the raw rows."""
    yield
    assert conn.execute(text("select * from check_spans()")).all() == []


def days_left_on_arrival(conn, complaint, at):
    """Working days of the limit left on the day a unit got the complaint, that day included, and after it."""
    return conn.execute(
        text("""
        select s.due_ord - w.ordinal + w.working::int as with_day, s.due_ord - w.ordinal as after_day
          from state(:t) s
          join workday w on w.calendar_id = s.calendar_id
                        and w.day = (cast(:t as timestamptz) at time zone 'Asia/Shanghai')::date
         where s.complaint_id = :id and s.clock = 'r'"""),
        {"t": at, "id": complaint},
    ).one()


def test_arrived_too_late(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
    move(conn, it, units["Q"], cn("2026-03-13 09:00"))
    reply(conn, it, cn("2026-03-18 16:00"))
    now = state_of(conn, it, cn("2026-03-20 09:00"))
    assert now.due_at == end_of("2026-03-16") and now.state == "B" and now.days_late == 2
    assert now.charged_unit_id == units["Q"]
    assert tuple(days_left_on_arrival(conn, it, cn("2026-03-13 09:00"))) == (2, 1)            # of 10: less than a third
    # A recorded decision sets it back to P; before the decision it was Q's.
    event(conn, it, "charged", cn("2026-03-19 10:00"), unit_to=units["P"], reason="到单过晚")
    assert state_of(conn, it, cn("2026-03-20 09:00")).charged_unit_id == units["P"]
    assert state_of(conn, it, cn("2026-03-18 20:00")).charged_unit_id == units["Q"]


def test_it_never_moves_after_the_limit_passed(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
    move(conn, it, units["Q"], cn("2026-03-17 00:00"))  # the first instant after the limit
    now = state_of(conn, it, cn("2026-03-17 09:00"))
    assert (now.unit_id, now.charged_unit_id, now.state, now.days_late) == (units["Q"], units["P"], "E", 1)
    other = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
    move(conn, other, units["Q"], cn("2026-03-16 23:59:59.999999"))
    assert state_of(conn, other, cn("2026-03-17 09:00")).charged_unit_id == units["Q"]


def test_compliance_counts_only_limits_that_have_passed(conn, units):
    """Wed 2026-03-04 noon: 10 limits of the week have passed, 6 kept; 40 due later are answered already."""
    for n in range(10):                                                                       # due Tue 03-03
        it = make_complaint(conn, received=cn("2026-02-26 10:00"), unit=units["P"], category="work_error")
        if n < 6:
            reply(conn, it, cn("2026-03-02 15:00"))
    for n in range(40):  # due Thu 03-05 and Fri 03-06
        it = make_complaint(conn, received=cn(f"2026-03-0{2 + n % 2} 09:00"), unit=units["Q"], category="work_error")
        reply(conn, it, cn("2026-03-03 17:00"))
    counted = conn.execute(
        text("""
        select count(*) filter (where due_at <= :t and state = 'A') as kept,
               count(*) filter (where due_at <= :t and state in ('A', 'B', 'E')) as judged,
               count(*) filter (where due_at > :t) as not_yet
          from state(:t) where clock = 'r' and due_at >= :first and due_at < :next"""),
        {"t": cn("2026-03-04 12:00"), "first": cn("2026-03-02 00:00"), "next": cn("2026-03-09 00:00")},
    ).one()
    assert tuple(counted) == (6, 10, 40)


def test_reopened_keeps_its_first_verdict_and_runs_a_clock_of_its_own(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
    reply(conn, it, cn("2026-03-04 10:00"))
    number = reopen(conn, it, cn("2026-03-20 10:00"))
    now = cn("2026-03-21 09:00")
    assert state_of(conn, it, now).state == "A" and state_of(conn, it, cn("2026-03-08 23:00")).state == "A"
    again = state_of(conn, it, now, "o")
    assert (again.state, again.due_at, again.unit_id) == ("C", end_of("2026-03-25"), units["P"])
    assert state_of(conn, it, cn("2026-03-19 09:00"), "o") is None
    move(conn, it, units["Q"], cn("2026-03-23 09:00"))
    redone(conn, it, number, cn("2026-03-26 10:00"))
    assert state_of(conn, it, cn("2026-03-22 09:00"), "o").unit_id == units["P"]              # who had it then
    assert state_of(conn, it, cn("2026-03-24 09:00"), "o").unit_id == units["Q"]
    done = state_of(conn, it, cn("2026-03-27 09:00"), "o")
    assert (done.state, done.days_late, done.charged_unit_id) == ("B", 1, units["Q"])
    assert state_of(conn, it, cn("2026-03-27 09:00")).unit_id == units["P"]  # the first clock is P's for good


def test_withdrawal_requested_after_the_limit_is_late(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], category="service_attitude")
    number = withdraw(conn, it, cn("2026-03-09 10:00"))
    verify(conn, it, number, cn("2026-03-10 10:00"))
    now = state_of(conn, it, cn("2026-03-11 09:00"))
    assert now.due_at == end_of("2026-03-05") and now.state == "E" and now.excluded_at is None
    stored = conn.execute(
        text(
            "select c.exclusion, w.late from complaint c join withdrawal w using (complaint_id) where complaint_id = :i"
        ),
        {"i": it},
    ).one()
    assert tuple(stored) == ("withdrawn_late", True)
    close(conn, it, cn("2026-03-11 10:00"))
    assert state_of(conn, it, cn("2026-03-12 09:00")).state == "B"


def test_withdrawal_in_time_counts_from_its_request_once_verified(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
    number = withdraw(conn, it, cn("2026-03-09 10:00"))
    assert state_of(conn, it, cn("2026-03-20 09:00")).state == "E"  # not verified: keeps its state
    assert state_of(conn, it, cn("2026-03-10 09:00"), "w").due_at == end_of("2026-03-12")
    verify(conn, it, number, cn("2026-03-11 10:00"))
    assert state_of(conn, it, cn("2026-03-20 09:00")).state == "X"
    assert state_of(conn, it, cn("2026-03-09 09:59")).state == "C"
    assert state_of(conn, it, cn("2026-03-20 09:00"), "w").state == "A"  # verified in time, and stays counted


def test_pressured_withdrawal_is_void(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
    verify(conn, it, withdraw(conn, it, cn("2026-03-03 10:00")), cn("2026-03-04 10:00"), "pressured")
    assert state_of(conn, it, cn("2026-03-05 09:00")).state == "C"


def test_duplicate_after_the_limit_stays_late_and_a_contest_excludes(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], category="work_error")
    exclude(conn, it, cn("2026-03-06 10:00"), "duplicate")
    assert state_of(conn, it, cn("2026-03-07 09:00")).state == "E"
    exclude(conn, it, cn("2026-03-09 10:00"), "contest")
    assert (
        state_of(conn, it, cn("2026-03-09 11:00")).state == "X"
        and state_of(conn, it, cn("2026-03-08 11:00")).state == "E"
    )
    restore(conn, it, cn("2026-03-10 10:00"))
    assert [state_of(conn, it, cn(f"2026-03-{d} 11:00")).state for d in ("08", "09", "10")] == ["E", "X", "E"]


def test_category_changed_before_the_limit(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], category="service_attitude")
    recategorise(conn, it, "violation", cn("2026-03-05 15:00"))
    reply(conn, it, cn("2026-03-12 10:00"))
    now = state_of(conn, it, cn("2026-03-13 09:00"))
    assert (now.due_at, now.state) == (end_of("2026-03-16"), "A")
    assert (now.first_due_at, now.first_state) == (end_of("2026-03-05"), "B")
    assert state_of(conn, it, cn("2026-03-05 12:00")).due_at == end_of("2026-03-05")


def test_category_changed_to_a_shorter_limit_never_ends_before_the_day_of_change(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
    recategorise(conn, it, "work_error", cn("2026-03-10 15:00"))
    assert state_of(conn, it, cn("2026-03-10 16:00")).due_at == end_of("2026-03-10")


def test_category_changed_after_the_limit_keeps_it(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], category="work_error")
    recategorise(conn, it, "violation", cn("2026-03-06 09:00"))
    now = state_of(conn, it, cn("2026-03-06 10:00"))
    assert (now.due_at, now.state) == (end_of("2026-03-05"), "E")
    assert now.category_id == code_id(conn, "category", "bank", "violation")


def test_late_by_less_than_a_working_day(conn, units):
    it = make_complaint(conn, received=cn("2025-09-26 10:00"), unit=units["P"], category="work_error")
    reply(conn, it, cn("2025-10-08 10:00"))
    now = state_of(conn, it, cn("2025-10-10 09:00"))
    assert (now.due_at, now.state, now.days_late) == (end_of("2025-09-30"), "B", 0)
    assert state_of(conn, it, cn("2025-10-05 09:00")).state == "E"


def test_replied_to_the_customer_only_is_not_done(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], source_unit_id=units["R"])
    reply(conn, it, cn("2026-03-04 10:00"))
    assert (
        state_of(conn, it, cn("2026-03-05 09:00")).state == "C"
        and state_of(conn, it, cn("2026-03-05 09:00")).ended_at is None
    )
    reply_source(conn, it, cn("2026-03-06 10:00"))
    now = state_of(conn, it, cn("2026-03-07 09:00"))
    assert (now.state, now.ended_at) == ("A", cn("2026-03-06 10:00"))


def test_a_unit_that_got_and_finished_it_within_the_week_balances(conn, units):
    it = make_complaint(conn, received=cn("2026-02-26 10:00"), unit=units["P"])
    move(conn, it, units["Q"], cn("2026-03-03 10:00"))                                        # Tuesday
    reply(conn, it, cn("2026-03-06 10:00"))                                                   # Friday
    lines = conn.execute(
        text("""
        select count(*) filter (where in_at < :a and out_at >= :a) as opening,
               count(*) filter (where in_by = 'r' and in_at >= :a and in_at < :b) as received,
               count(*) filter (where in_by = 'm' and in_at >= :a and in_at < :b) as moved_in,
               count(*) filter (where out_by = 'd' and out_at < :b) as done,
               count(*) filter (where in_at < :b and out_at >= :b) as closing
          from open_stretch where clock = 'r' and unit_id = :q"""),
        {"a": cn("2026-03-02 00:00"), "b": cn("2026-03-09 00:00"), "q": units["Q"]},
    ).one()
    assert tuple(lines) == (0, 0, 1, 1, 0)


def test_returned_for_redo_the_clock_never_stopped(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
    reply(conn, it, cn("2026-03-10 10:00"))
    move(conn, it, units["Q"], cn("2026-03-11 10:00"))                                        # after it was done
    return_for_redo(conn, it, cn("2026-03-12 10:00"))
    assert state_of(conn, it, cn("2026-03-11 12:00")).state == "A"
    now = state_of(conn, it, cn("2026-03-17 09:00"))
    assert (now.state, now.due_at, now.days_late, now.unit_id) == ("E", end_of("2026-03-16"), 1, units["Q"])
    reply(conn, it, cn("2026-03-18 10:00"))
    done = state_of(conn, it, cn("2026-03-19 10:00"))
    assert (done.state, done.days_late, done.days_used) == ("B", 2, 12)


def test_no_limit_is_no_verdict(conn, units):
    for category in ("financial_crime", "anonymous"):
        it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], category=category)
        assert (
            state_of(conn, it, cn("2026-05-02 10:00")).state == "N"
            and state_of(conn, it, cn("2026-05-02 10:00")).days_open > 30
        )
    flagged = make_complaint(
        conn, received=cn("2026-03-02 10:00"), unit=units["P"], category="work_error", anonymous=True
    )
    assert state_of(conn, flagged, cn("2026-03-02 11:00")).due_at == end_of("2026-03-05")


def test_who_ends_an_anonymous_complaint(conn, units):
    own = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], anonymous=True)
    passed_on = make_complaint(
        conn, received=cn("2026-03-02 10:00"), unit=units["P"], anonymous=True, source_unit_id=units["R"]
    )
    change(conn, own, cn("2026-03-04 10:00"), filed_at=cn("2026-03-04 10:00"))
    reply_source(conn, passed_on, cn("2026-03-05 10:00"))
    assert state_of(conn, own, cn("2026-03-06 10:00")).ended_at == cn("2026-03-04 10:00")
    assert state_of(conn, passed_on, cn("2026-03-06 10:00")).ended_at == cn("2026-03-05 10:00")


def test_dispatch_and_call_back_have_clocks(conn, units):
    # the bank rule names no limit for call-backs; an office that sets one gets the clock
    conn.execute(text("insert into policy_limit (policy_id, clock, amount, soon) select policy_id, 'k', 10, 3 from policy where pack = 'bank'"))
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], channel="web")
    assert state_of(conn, it, cn("2026-03-05 10:00"), "d").state == "E"
    change(conn, it, cn("2026-03-05 11:00"), dispatched_at=cn("2026-03-05 11:00"))
    assert (
        state_of(conn, it, cn("2026-03-06 10:00"), "d").state,
        state_of(conn, it, cn("2026-03-06 10:00"), "d").days_late,
    ) == ("B", 1)
    reply(conn, it, cn("2026-03-06 10:00"))
    assert state_of(conn, it, cn("2026-03-07 10:00"), "k").due_at == end_of("2026-03-20")
    conn.execute(
        text(
            """insert into call_back (complaint_id, call_no, at, by_whom, outcome)
                values (:i, 1, :t, 'office', 'answered')"""
        ),
        {"i": it, "t": cn("2026-03-09 10:00")},
    )
    assert state_of(conn, it, cn("2026-03-10 10:00"), "k").state == "A"


def test_the_limit_of_the_incoming_letter(conn, units):
    """Bank: a second clock, both judged. City: it governs."""
    bank = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], source_due_at=end_of("2026-03-06"))
    assert (
        state_of(conn, bank, cn("2026-03-09 10:00")).state == "C"
        and state_of(conn, bank, cn("2026-03-09 10:00"), "s").state == "E"
    )
    city = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], pack="city", category="general",
                          source_due_at=end_of("2026-03-06"))
    now = state_of(conn, city, cn("2026-03-07 10:00"))
    assert (now.due_at, now.due_from, now.state) == (end_of("2026-03-06"), "s", "E")
    assert state_of(conn, city, cn("2026-03-07 10:00"), "s") is None


def test_extension_moves_the_limit_where_the_policy_knows_it(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], pack="measure2020", category="loan")
    first = end_of("2026-03-17")
    assert state_of(conn, it, cn("2026-03-10 10:00")).due_at == first
    conn.execute(text("""insert into delay (complaint_id, delay_no, reported_at, kind, reason, approved_at, due_to)
                         values (:i, 1, :r, 'extension', '需外部鉴定', :a, :d)"""),
                 {"i": it, "r": cn("2026-03-11 10:00"), "a": cn("2026-03-12 10:00"), "d": end_of("2026-04-16")})
    now = state_of(conn, it, cn("2026-03-20 10:00"))
    assert (now.due_at, now.due_from, now.first_due_at, now.state) == (end_of("2026-04-16"), "l", first, "C")
    assert state_of(conn, it, cn("2026-03-12 09:00")).due_at == first
    told = clocks.explain(conn, it, cn("2026-03-20 10:00"))
    assert told["first_limit"] == first and told["limit"] == end_of("2026-04-16")
    assert [(c["code"], c["reason"]) for c in told["cuts"]] == [("limit_moved", "需外部鉴定")]
    with pytest.raises(DBAPIError, match="limit has passed"), conn.begin_nested():
        event(conn, it, "limit_moved", cn("2026-04-17 00:00"), due_to=end_of("2026-05-16"))


def test_pause_moves_it_in_the_city_and_nothing_moves_it_in_the_bank(conn, units):
    city = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], pack="city", category="general")
    event(conn, city, "limit_moved", cn("2026-03-06 10:00"), due_to=end_of("2026-03-14"), reason="待当事人补正材料",
          params='{"by": "pause", "from": "2026-03-03", "to": "2026-03-06"}')
    now = state_of(conn, city, cn("2026-03-10 10:00"))
    assert (now.due_at, now.first_due_at, now.state) == (end_of("2026-03-14"), end_of("2026-03-09"), "C")
    bank = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
    conn.execute(text("insert into delay (complaint_id, delay_no, reported_at, reason) values (:i, 1, :t, '调阅录像')"),
                 {"i": bank, "t": cn("2026-03-13 10:00")})
    assert state_of(conn, bank, cn("2026-03-17 10:00")).state == "E"
    with pytest.raises(DBAPIError, match="lets nothing of this kind move a limit"), conn.begin_nested():
        event(conn, bank, "limit_moved", cn("2026-03-10 10:00"), due_to=end_of("2026-03-30"))


def test_voided_history_did_not_happen(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
    wrong = event(conn, it, "moved", cn("2026-03-03 10:00"), unit_to=units["Q"])
    event(conn, it, "corrected", cn("2026-03-04 10:00"), voids=wrong)
    assert state_of(conn, it, cn("2026-03-03 12:00")).unit_id == units["P"]


def test_a_move_entered_late_stands_where_it_happened(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
    reply(conn, it, cn("2026-03-10 10:00"))
    move(conn, it, units["Q"], cn("2026-03-05 10:00"))  # recorded after the end, happened before
    assert state_of(conn, it, cn("2026-03-09 10:00")).unit_id == units["Q"]
    assert state_of(conn, it, cn("2026-03-11 10:00")).charged_unit_id == units["Q"]


def test_the_clock_of_the_application_has_no_influence(conn, units, monkeypatch):
    """Nothing on the way to a verdict asks Python for the time."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    conn.execute(text("set local timezone = 'Pacific/Kiritimati'"))
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"])
    assert state_of(conn, it, cn("2026-03-16 23:59:59.999999")).state == "D"
    assert state_of(conn, it, cn("2026-03-17 00:00")).state == "E"


def test_explain_tells_what_happened_and_counts_to_today(conn, units):
    it = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=units["P"], category="service_attitude")
    recategorise(conn, it, "violation", cn("2026-03-05 15:00"), reason="定性为违规操作")
    told = clocks.explain(conn, it, cn("2026-03-18 10:00"))
    assert (
        told["limit"] == end_of("2026-03-16")
        and told["target"] == end_of("2026-03-11")
        and told["first_limit"] == end_of("2026-03-05")
    )
    assert (
        told["rule"]["version"] == 1
        and told["rule"]["amount"] == 10
        and told["state"]["state"] == "E"
        and told["state"]["days_late"] == 2
    )
    (cut,) = told["cuts"]
    assert (cut["code"], cut["category_from"], cut["category_to"], cut["reason"]) == (
        "recategorised",
        "service_attitude",
        "violation",
        "定性为违规操作",
    )
    assert told["trace"]["marks"].tolist()[-1] == "today" and told["trace"]["late"].dropna().tolist() == [1, 2]
    assert (
        clocks.explain(conn, it, cn("2026-03-01 10:00")) is None
        and clocks.explain(conn, 0, cn("2026-03-18 10:00")) is None
    )
    assert clocks.explain(conn, it, cn("2026-03-04 10:00"))["limit"] == end_of("2026-03-05")
