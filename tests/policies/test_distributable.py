"""What a distribution by complaint would need of the tables, and what is costly to change later (docs/scale.md)."""
import pytest
from sqlalchemy import text

# Tables that bear a complaint's id and would stay on one node: an order of their own, or another key.
ONE_NODE = {"audit", "complaint_key", "rollup_dirty"}      # the last is a list that a fold empties, not a table of complaints
DISTRIBUTED = """select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'complaint_id' and a.attnum > 0
                  where c.relnamespace = 'desk'::regnamespace and c.relkind = 'r'"""


@pytest.fixture
def tables(conn):
    found = set(conn.execute(text(DISTRIBUTED)).scalars()) - ONE_NODE
    assert len(found) >= 15
    return sorted(found)


def test_the_complaint_leads_the_key_and_is_in_every_unique_one(conn, tables):
    keys = conn.execute(text("""select i.indrelid::regclass::text as relation, i.indisprimary as first, array(select a.attname::text from unnest(i.indkey) with ordinality k(n, place)
                                  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n order by k.place) as columns
                                  from pg_index i where i.indisunique and i.indrelid = any (cast(:tables as regclass[]))"""), {"tables": tables}).all()
    assert {key.relation for key in keys if key.first} == set(tables)
    for key in keys:
        assert key.columns[0] == "complaint_id" if key.first else "complaint_id" in key.columns, key


def test_no_foreign_key_leads_across_complaints_or_from_a_small_table_to_them(conn, tables):
    assert conn.execute(text("""select conname from pg_constraint where contype = 'f' and confrelid = any (cast(:tables as regclass[]))"""), {"tables": tables}).all() == []


def test_numbers_that_every_node_would_give_are_bigint(conn, tables):
    assert conn.execute(text("""select attrelid::regclass::text, attname from pg_attribute where attidentity <> '' and atttypid <> 'bigint'::regtype
                                   and attrelid = any (cast(:tables as regclass[]))"""), {"tables": tables}).all() == []
