"""Whole numbers by group: parts of other columns and other groups add up, and the table is what pandas would have read."""
import pandas as pd
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from queries import sums
from queries.sums import Sums


def test_parts_add_up_by_group_and_column():
    one, two = Sums(("a_den", "a_num"), {"x": (5, 3), None: (1, 0)}), Sums(("a_num", "b_den"), {"x": (1, 7), "y": (2, 2)})
    total = sums.add([one, two, two.times(-2), one.named(("other", "a_den"))], ("a_den", "a_num", "b_den"))
    assert total == Sums(("a_den", "a_num", "b_den"), {"x": (8, 2, -7), None: (1, 0, 0), "y": (0, -2, -2)})
    assert (one.rows, two.rows) == ({"x": (5, 3), None: (1, 0)}, {"x": (1, 7), "y": (2, 2)}), "nobody changes what another reads"


def test_the_table_is_sorted_none_last_and_of_whole_numbers():
    table = sums.table(Sums(("n",), {7: (1,), None: (2,), 3: (4,)}))
    assert table.index[:2].tolist() == [3, 7] and table.index.isna().tolist() == [False, False, True] and table["n"].tolist() == [4, 1, 2]
    empty = sums.table(Sums(("n", "m"), {}))
    assert table.dtypes.tolist() == ["int64"] and empty.dtypes.tolist() == ["int64", "int64"] and len(empty) == 0 and list(empty.columns) == ["n", "m"]


def test_what_a_statement_says_is_read_as_pandas_reads_it(server):
    with create_engine(server, poolclass=NullPool).connect() as conn:
        for groups in ("('a', 1, 2), ('b', 3, 4)", "('a', 1, 2), (null, 3, 4)", "(1, 1, 2), (2, 3, 4)", "(1, 1, 2), (null, 3, 4)"):
            statement = text(f"select grp, n::bigint, m from (values {groups}) v(grp, n, m) where n > :least order by 1")
            read = pd.read_sql_query(statement, conn, params={"least": 0}, index_col="grp")
            pd.testing.assert_frame_equal(sums.table(sums.read(conn, statement, {"least": 0})), read)
        assert sums.read(conn, text("select 'a' as grp, 1 as n where false"), {}) == Sums(("n",), {})
