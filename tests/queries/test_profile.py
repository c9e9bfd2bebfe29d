"""Days to done unit by unit; peers wherever they are; what is odd about the data, and its lists."""
import pytest
from sqlalchemy import create_engine, text

from queries import complaints, db, figures, profile, quality, timing
from tests.makers import cn, make_complaint, make_unit
from tests.queries.test_numbers_and_lists import ask


@pytest.fixture
def reader(bank):
    with db.reading(bank, db.viewer_of(bank, "service"), timeout_ms=60_000) as conn:
        yield conn


def test_days_are_the_catalogue_s_and_the_medians_are_those_of_the_limits_page(reader):
    where = ask(reader)
    head = reader.execute(text("select unit_id from unit where kind = 'head'")).scalar_one()
    days = profile.days(reader, parent=head, **where)
    counted = figures.counts(reader, ("days_done",), by="child", parent=head, **where).days_done_den
    counted = counted[counted.index.notna()]
    assert days.groupby("unit_id").n.sum().to_dict() == {int(unit): n for unit, n in counted.items()}
    medians = timing.days(reader, by="child", parent=head, **where).days_median
    for unit, mine in days.groupby("unit_id"):
        assert mine.days.repeat(mine.n).median() == medians[unit], unit
    assert len(days) > 100


def test_units_of_one_level_count_what_each_counts_alone(reader):
    where = ask(reader)
    one = reader.execute(text("select unit_id from unit where kind = 'branch2' order by label limit 1")).scalar_one()
    level = figures.counts(reader, ("compliance", "received"), by="level", parent=one, **where)
    level = level[level.index.notna()]
    deep = reader.execute(text("select count(*) from unit where level = (select level from unit where unit_id = :u)"),
                          {"u": one}).scalar_one()
    assert 20 < len(level) <= deep
    for unit in level.index[:5]:
        alone = figures.counts(reader, ("compliance", "received"), unit=int(unit), **where).loc["all"]
        assert alone.to_dict() == level.loc[unit].to_dict()
    days = profile.days(reader, by="level", parent=one, **where).groupby("unit_id").n.sum()
    done = figures.counts(reader, ("days_done",), unit=int(days.index[0]), **where).days_done_den
    assert days.iloc[0] == done.iloc[0] > 0


def test_outlets_are_known_of_every_unit(reader):
    head = reader.execute(text("select unit_id from unit where kind = 'head'")).scalar_one()
    assert profile.outlets(reader)[head] > 1000


def test_marks_add_up_to_their_lists(reader):
    where = ask(reader)
    total, marks = quality.marks(reader, as_of=where["as_of"])
    assert len(marks)
    for one in marks.itertuples():
        assert len(complaints.listing(reader, f"mark_{one.mark}", limit=None, **where)) == one.complaints
    assert len(complaints.listing(reader, "marked", limit=None, **where)) == total == figures.counts(reader, ("marked",), **where).iloc[0, 0] <= marks.complaints.sum()
    branch = int(complaints.listing(reader, "marked", limit=None, **where).about_unit_id.iloc[0])
    some, there = quality.marks(reader, as_of=where["as_of"], unit=branch)
    assert 0 < some <= total and 0 < there.complaints.sum() < marks.complaints.sum()


def test_a_row_of_every_defect(desk):
    """One complaint that lacks everything, and one that lacks nothing."""
    with create_engine(desk["admin"]).begin() as conn:
        conn.execute(text("set search_path = desk"))
        unit = make_unit(conn, "甲支行")
        stray = make_unit(conn, "旧部门", make_unit(conn, "未对应", kind="unmapped"), kind="unmapped")
        answered, sent = cn("2026-03-04 10:00"), cn("2026-03-02 12:00")
        bad = make_complaint(conn, received=cn("2026-03-02 10:00"), unit=unit, title="", handler=None,
                             marks=["far_limit", "closed_before_received"], customer_replied_at=answered)
        good = make_complaint(conn, received=cn("2026-03-02 11:00"), unit=unit, title="手续费", handler="周平",
                              customer_replied_at=answered)
        lost = make_complaint(conn, received=cn("2026-03-02 12:00"), unit=stray, title="手续费", handler="周平")
        conn.execute(text("insert into hop (complaint_id, hop_no, unit_id, sent_at) values (:c, 1, :u, :t)"),
                     {"c": bad, "u": unit, "t": sent})
        conn.execute(text("""insert into hop (complaint_id, hop_no, unit_id, sent_at, signed_at)
                             values (:c, 1, :u, :t, :t)"""), {"c": good, "u": unit, "t": sent})
        conn.execute(text("""insert into reply (complaint_id, reply_no, at, facts, person_treated, lessons,
                                                satisfaction, handled, handler, telephone)
                             values (:c, 1, :t, '属实', '批评', '培训', '满意', '3月4日', '周平', '95580')"""),
                     {"c": good, "t": cn("2026-03-04 09:00")})
        conn.execute(text("""insert into event (complaint_id, at, code, unit_from, unit_to)
                             values (:c, :t, 'unit_conflict', :u, :u)"""),
                     {"c": bad, "t": cn("2026-03-03 10:00"), "u": unit})
    expected = {"defect_plausible": {bad}, "defect_matter": {bad}, "defect_handler": {bad}, "defect_signature": {bad},
                "defect_reply": {bad}, "defect_elements": set(), "marked": {bad}, "mark_far_limit": {bad},
                "mark_closed_before_received": {bad}, "mark_no_unit": set(), "unmapped_unit": {lost},
                "unmapped_category": set(), "unit_conflict": {bad}}
    with db.reading(desk, db.viewer_of(desk, "service")) as conn:
        where = dict(as_of=cn("2026-03-09 08:00"), start=cn("2026-03-01 00:00"), end=cn("2026-04-01 00:00"))
        for code, ids in expected.items():
            part = "num" if code.startswith("defect_") else "den"
            assert set(complaints.listing(conn, code, part=part, **where).complaint_id) == ids, code
            assert int(figures.counts(conn, (code,), **where)[f"{code}_{part}"].sum()) == len(ids), code
        before = where | {"as_of": cn("2026-03-03 09:00")}
        assert complaints.listing(conn, "unit_conflict", **before).empty, "the conflict was not known yet"
        assert set(quality.marks(conn, as_of=where["as_of"])[1].mark) == {"far_limit", "closed_before_received"}


def test_the_marks_of_the_catalogue_are_those_that_an_import_gives():
    from queries.indicators import MARKS
    from queries.intake.convert import Mark
    assert {code for code, *_ in MARKS} == {str(mark) for mark in Mark}
