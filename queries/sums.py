"""Whole numbers by group, put together from several statements: what cells say, what they leave out, and the raw rows at the ends of a period.

A page asks some thirty such questions of two or three statements each; added up as tables they took pandas three times as long as the database. A table is made of
the last sum alone.
"""
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from sqlalchemy import Connection, TextClause


class Sums(NamedTuple):
    """A row of whole numbers for each group, in the order of ``columns``. Nobody may change them: what is asked again in a transaction is the same."""

    columns: tuple[str, ...]
    rows: dict[object, tuple[int, ...]]

    def named(self, columns: Iterable[str]) -> "Sums":
        """The same under other names."""
        return Sums(tuple(columns), self.rows)

    def times(self, factor: int) -> "Sums":
        return Sums(self.columns, {group: tuple(factor * n for n in row) for group, row in self.rows.items()})


def read(conn: Connection, statement: TextClause, params: dict) -> Sums:
    """What a statement says whose first column is the group, each once, and the others whole numbers."""
    result = conn.execute(statement, params)
    columns, rows = tuple(result.keys())[1:], result.cursor.fetchall()       # plain tuples: a Row each takes as long as the rest
    result.close()
    return Sums(columns, {row[0]: row[1:] for row in rows})


def add(parts: Iterable[Sums], columns: Iterable[str]) -> Sums:
    """Group by group, of these columns; what a part does not have is 0 there."""
    columns = tuple(columns)
    total: dict[object, list[int]] = {}
    for part in parts:
        places = [(columns.index(name), place) for place, name in enumerate(part.columns) if name in columns]
        for group, row in part.rows.items():
            sums = total.get(group)
            if sums is None:
                sums = total[group] = [0] * len(columns)
            for to, place in places:
                sums[to] += row[place]
    return Sums(columns, {group: tuple(row) for group, row in total.items()})


def table(sums: Sums) -> pd.DataFrame:
    """Index = group (sorted, none last), int64."""
    groups = sorted(sums.rows, key=lambda group: (group is None, group))
    return pd.DataFrame(np.array([sums.rows[group] for group in groups], dtype="int64").reshape(len(groups), len(sums.columns)),
                        index=pd.Index(groups, name="grp"), columns=list(sums.columns))
