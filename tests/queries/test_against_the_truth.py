"""The product against real data that nobody of this project made, and truth computed from the raw columns alone."""
import resource
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from queries import complaints, db, figures, intake, quality
from queries.intake.land import land

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
MAPPINGS = Path(__file__).resolve().parents[2] / "docs" / "mappings"
NEW_YORK = ZoneInfo("America/New_York")
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the real data (../shared/data) is not on this machine")


def bring(urls, mapping, file):
    m = intake.load(MAPPINGS / f"{mapping}.toml")
    with intake.open_source(DATA / file, m) as source, db.writing(urls, db.viewer_of(urls, "intake"), timeout_ms=0) as conn:
        return land(conn, source, m, now=db.clock(conn), pack="bank")


def source_id(conn, name):
    return int(quality.sources(conn, as_of=db.clock(conn)).set_index("name").source_id[name])


@pytest.fixture(scope="module")
def boston(desk_module):
    started = time.monotonic()
    report = bring(desk_module, "boston311", "boston311_2015/requests_2015.csv.gz")
    return desk_module, report, time.monotonic() - started


def boston_figures(urls, by="all"):
    with db.reading(urls, db.viewer_of(urls, "service"), timeout_ms=60_000) as conn:
        return figures.figures(conn, as_of=datetime(2016, 1, 13, tzinfo=NEW_YORK), source=source_id(conn, "boston311"), zone="America/New_York", by=by)


def test_boston_lands_whole_and_within_memory(boston):
    _, report, seconds = boston
    assert (report.rows, report.added, report.quarantined, report.marked) == (121_145, 121_145, 0, 197)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nBoston: {seconds:.1f} s, peak {peak:.0f} MB")
    assert peak < 600


def test_boston_in_total(boston):
    row = boston_figures(boston[0]).loc["all"]
    assert (row.on_time, row.late, row.open_not_due + row.due_soon, row.overdue, row.no_limit, row.excluded) == (60_054, 19_154, 3_501, 11_445, 26_991, 0)
    assert (row.source_on_time_num, row.source_on_time_den) == (90_546, 120_992)
    assert row.source_agree == 120_992, "our verdict is the city's in every row that carries its flag"


def test_boston_by_department(boston):
    ours = boston_figures(boston[0], "parent_unit")
    truth = pd.read_csv(DATA / "boston311_2015" / "truth_ontime_by_department.csv").set_index("department")
    assert set(ours.index) == set(truth.index)
    ours = ours.loc[truth.index]
    assert list(ours.received) == list(truth.n)
    assert list(ours.received - ours.no_limit) == list(truth.n_with_target)
    met = ours.on_time + ours.open_not_due + ours.due_soon
    assert list(met) == list(truth.n_ontime_with_target.astype(int))
    assert list(met + ours.no_limit) == list(truth.n_ontime)
    assert (ours[["on_time", "late", "open_not_due", "due_soon", "overdue", "excluded", "no_limit"]].sum(axis=1) == ours.received).all()


def test_boston_by_month_source_and_queue(boston):
    for by, file, key in (("month", "month", "month"), ("channel", "source", None), ("category", "reason_type", "reason")):
        truth = pd.read_csv(DATA / "boston311_2015" / f"truth_ontime_by_{file}.csv")
        truth = truth.groupby(key or truth.columns[0])[["n", "n_with_target", "n_ontime_with_target"]].sum()
        ours = boston_figures(boston[0], by)
        ours = ours[ours.received > 0]
        assert set(ours.index) == set(truth.index), by
        ours = ours.loc[truth.index]
        assert list(ours.received) == list(truth.n), by
        assert list(ours.on_time + ours.open_not_due + ours.due_soon) == list(truth.n_ontime_with_target.astype(int)), by


def test_boston_again_changes_nothing(boston):
    before = boston_figures(boston[0], "parent_unit")
    report = bring(boston[0], "boston311", "boston311_2015/requests_2015.csv.gz")
    assert (report.added, report.changed, report.unchanged) == (0, 0, 121_145)
    pd.testing.assert_frame_equal(boston_figures(boston[0], "parent_unit"), before)


def test_taidi_working_days_of_every_message(desk):
    report = bring(desk, "taidi2020", "taidi2020_zhengwu/附件4.xlsx")
    assert (report.added, report.quarantined) == (2_816, 0)
    with db.reading(desk, db.viewer_of(desk, "service")) as conn:
        ours = complaints.listing(conn, "done", as_of=db.clock(conn), start=datetime(2000, 1, 1), end=datetime(2100, 1, 1), limit=None)
        row = figures.figures(conn, as_of=db.clock(conn), source=source_id(conn, "taidi2020")).loc["all"]
    truth = pd.read_csv(DATA / "taidi2020_zhengwu" / "truth_reply_per_message.csv", dtype={"留言编号": str}).set_index("留言编号")
    assert len(ours) == 2_816
    assert (ours.set_index("complaint_no").days_used.loc[truth.index] == truth.workdays).all()
    assert row.days_median == truth.workdays.median() == 8
    assert row.days_p90 == pytest.approx(truth.workdays.quantile(0.9))


def test_taidi_by_place(desk):
    bring(desk, "taidi2020", "taidi2020_zhengwu/附件4.xlsx")
    with db.reading(desk, db.viewer_of(desk, "service")) as conn:
        ours = figures.figures(conn, as_of=db.clock(conn), by="unit")
    truth = pd.read_csv(DATA / "taidi2020_zhengwu" / "truth_reply_by_place.csv").dropna(subset=["place"]).set_index("place")
    truth = truth[truth.index != ""]
    assert list(ours.received.loc[truth.index]) == list(truth.n)
    assert ours.days_median.loc[truth.index].tolist() == pytest.approx(truth.median_workdays.tolist())
    assert ours.days_p90.loc[truth.index].tolist() == pytest.approx(truth.p90_workdays.tolist(), abs=0.05)


def test_cfpb_keeps_yes_no_and_blank_apart(desk):
    report = bring(desk, "cfpb", "cfpb_boa_2017_2023/Consumer_Complaints.xlsx")
    assert report.added == 62_516
    with db.reading(desk, db.viewer_of(desk, "service"), timeout_ms=60_000) as conn:
        now, source = db.clock(conn), source_id(conn, "cfpb")
        for by, file in (("all", None), ("unit", "state"), ("category", "product"), ("channel", "channel"), ("month", "month")):
            ours = figures.figures(conn, as_of=now, source=source, zone="America/New_York", by=by)
            if file is None:
                row = ours.loc["all"]
                assert (row.source_on_time_num, row.source_on_time_den - row.source_on_time_num, row.source_blank) == (58_619, 2_403, 1_494)
                assert row.source_on_time == pytest.approx(96.062, abs=0.0005)
                continue
            truth = pd.read_csv(DATA / "cfpb_boa_2017_2023" / f"truth_timely_by_{file}.csv")
            truth = truth.set_index(truth.columns[0])
            ours = ours.loc[truth.index]
            assert list(ours.source_on_time_num) == list(truth.timely_yes), by
            assert list(ours.source_on_time_den - ours.source_on_time_num) == list(truth.timely_no), by
            assert list(ours.source_blank) == list(truth.timely_null), by
