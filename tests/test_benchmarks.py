"""The bank that the desk is measured on is made of the product's rules, and its tables are what migrations made."""
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from benchmarks import duck
from benchmarks.generate import Bench
from tests.conftest import cloned

INDEXES = "select indexdef from pg_indexes where schemaname = 'desk' order by 1"
SHAPE = """select (select sum(hashtext(s::text)) from clock_span s), (select sum(hashtext((c.complaint_id, c.received_at, c.title, c.person, c.unit_id)::text)) from complaint c),
                  (select sum(hashtext((complaint_id, event_id, code, at)::text)) from event), (select sum(hashtext(text)) from complaint_text)"""


def ask(url, statement):
    with create_engine(url, poolclass=NullPool).connect() as conn:
        conn.execute(text("set search_path = desk"))
        return conn.execute(text(statement)).all()


@pytest.fixture(scope="module")
def bank(server, ready):
    with cloned(server, ready) as url:
        found = Bench(url, 6_000, 7, lambda line: None, outlets=900).fill()
        yield url, found


def test_every_span_of_the_bench_is_what_the_rule_says(bank):
    assert ask(bank[0], "select count(*) from check_spans()") == [(0,)]
    ends = ask(bank[0], """select count(*) from complaint c join policy p using (policy_id) join category k on k.category_id = c.category_id
                            where c.ended_at is distinct from reply_end(p.end_rule, c, c.anonymous or k.anonymous)""")
    assert ends == [(0,)], "an end is not what reply_end() says"


def test_no_index_of_the_product_is_lost_on_the_way(bank, server, ready):
    with cloned(server, ready) as plain:
        assert ask(bank[0], INDEXES) == ask(plain, INDEXES)


def test_a_seed_gives_the_same_bank_on_any_number_of_connections(bank, server, ready, monkeypatch):
    monkeypatch.setattr("benchmarks.generate.CONNECTIONS", 1)
    monkeypatch.setattr("benchmarks.generate.CHUNK", 1_300)
    with cloned(server, ready) as url:
        Bench(url, 6_000, 7, lambda line: None, outlets=900).fill()
        assert ask(url, SHAPE) == ask(bank[0], SHAPE)


def test_the_bench_has_of_everything_that_pages_show(bank):
    counts = dict(ask(bank[0], " union all ".join(f"select '{t}', count(*) from {t}" for t in (
        "hop", "reply", "call_back", "urge", "withdrawal", "redo", "delay", "contest", "directive", "rectification", "complainant", "released"))))
    assert all(counts.values()), counts
    assert 0.01 < bank[1]["open"] / 6_000 < 0.025, "about 1.6 % are open"
    clocks = {clock for clock, in ask(bank[0], "select distinct clock from clock_span")}
    assert clocks >= {"r", "d", "s", "o", "w"}


def test_a_difference_between_two_answers_names_its_cell():
    with pytest.raises(AssertionError, match="by week: cell '2026-03-02' differs: one \\(3, 2\\), two \\(3, 1\\)"):
        duck.compare("by week", {"one": {"2026-03-02": (3, 2)}, "two": {"2026-03-02": (3, 1)}})
    with pytest.raises(AssertionError, match="cell 5 differs"):
        duck.compare("q", {"one": {5: (1,)}, "two": {}})
