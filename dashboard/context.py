"""What every page begins with: the filter bar with the viewer's own units, and what is asked of the queries.

    f = context.frame("last_week")
    table = data.read(figures.counts, ("due",), by="child", parent=f.parent, **f.where)

``where`` is what the catalogue's queries take (start, end, unit, category, channel, zone); ``span`` and ``place`` are its
parts, for queries that take less. ``before`` is the same for the period just before. ``as_of`` comes from ``data.read``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd

from dashboard import data, filters, links, periods, words
from dashboard.filters import Filters, Options
from dashboard.periods import Period
from dashboard.settings import settings
from dashboard.words import t
from queries import units

EVERYTHING = 0  # the place in the bar above several roots: no unit


class Unit(NamedTuple):
    """A unit as pages show it."""

    id: int
    parent: int | None
    name: str
    short: str
    kind: str
    level: int = 0
    active: bool = True
    above: int | None = None  # the unit above it, also where the viewer does not see that one


class Tree(dict[int, Unit]):
    """Units by id in tree order; ``below``: those directly below each, None: the roots; ``deep``: those of each level. Found once, not by every run among
    forty thousand."""

    def __init__(self, units: Iterable[Unit] = ()) -> None:
        super().__init__()
        self.below: dict[int | None, list[Unit]] = {None: []}
        self.deep: dict[int, list[Unit]] = {}
        for unit in units:
            self[unit.id] = unit
            self.below.setdefault(unit.parent, []).append(unit)
            self.deep.setdefault(unit.level, []).append(unit)


@dataclass(frozen=True)
class Frame:
    """What is asked for, and the names to answer it with."""

    filters: Filters
    parent: int | None  # whose children are compared: the unit asked for, or the viewer's root; None above several roots
    as_of: datetime
    zone: ZoneInfo
    units: Tree = field(repr=False)
    categories: dict[int, str] = field(repr=False)
    channels: dict[int, str] = field(repr=False)

    @property
    def period(self) -> Period:
        return self.filters.period

    @property
    def previous(self) -> Period:
        """环比: the period just before."""
        return periods.previous(self.period)

    @property
    def year_ago(self) -> Period:
        """同比: the same period a year before; a week 364 days before."""
        return periods.year_ago(self.period)

    @property
    def span(self) -> dict[str, datetime]:
        """start and end."""
        return self.window(self.period)

    @property
    def place(self) -> dict[str, int | None]:
        """unit, category and channel; None = all."""
        return {"unit": self.filters.unit_id, "category": self.filters.category_id, "channel": self.filters.channel_id}

    @property
    def where(self) -> dict[str, Any]:
        """start, end, unit, category, channel, zone: what ``figures.counts`` and ``complaints.listing`` take."""
        return {**self.span, **self.place, "zone": self.zone.key}

    @property
    def before(self) -> dict[str, Any]:
        """``where`` of the period before."""
        return self.during(self.previous)

    def during(self, period: Period) -> dict[str, Any]:
        """``where`` of another period."""
        return {**self.where, **self.window(period)}

    def window(self, period: Period) -> dict[str, datetime]:
        """The bounds of a period as moments: midnights of the office's zone."""
        return {"start": self.midnight(period.start), "end": self.midnight(period.end)}

    def midnight(self, day: date) -> datetime:
        """The first moment of a day where the office is."""
        return midnight(day, self.zone)

    def unit_name(self, unit_id: object, whole: bool = False) -> str:
        """The short name of a unit, or the whole one; an id outside the viewer's units is a dash."""
        unit = self.units.get(_id(unit_id))
        return t("unit.none") if unit is None else unit.name if whole else unit.short

    def category(self, category_id: object) -> str:
        return self.categories.get(_id(category_id), t("unit.none"))

    def channel(self, channel_id: object) -> str:
        return self.channels.get(_id(channel_id), t("unit.none"))

    def children(self) -> list[int]:
        """Units directly below ``parent``, in tree order."""
        return [unit.id for unit in self.units.below.get(self.parent, [])]

    def beside(self) -> list[int]:
        """Units that lie beside the root, in the viewer's scope: what imports brought and nobody has placed."""
        if self.filters.unit_id is not None or self.parent is None:
            return []
        return [unit.id for unit in self.units.below[None] if unit.id != self.parent]

    def below(self, query: Callable, *args: Any, **asked: Any) -> pd.DataFrame:
        """What a query says by unit (index = unit id): the units below the stated one, itself, and what lies beside the tree,
        so that the units make up the whole. Each of those beside is asked by itself: its range of the tree is small."""
        tables = [data.read(query, *args, **asked, by="child", parent=self.parent)]
        tables += [data.read(query, *args, **asked | {"unit": one}, by="child", parent=None) for one in self.beside()]
        table = pd.concat([table for table in tables if len(table)] or tables[:1])
        return table[table.index.notna()]

    @property
    def asked(self) -> tuple:
        """What the figures of this frame depend on beside scope, tick and language: a key of ``data.derived``."""
        return (self.period, *self.place.values(), self.parent, self.as_of, self.zone.key)

    @property
    def question(self) -> tuple:
        """The same for what holds links, without the moment, for what is kept by the tick: a page that stays open asks it again and again."""
        return (self.period, *self.place.values(), self.parent, self.zone.key, sorted(self.filters.params.items()))

    @property
    def address(self) -> tuple:
        """``question`` at this moment."""
        return (*self.question, self.as_of)

    def link(self, **params: object) -> dict[str, str]:
        """An address that carries the filters and the moment, with the page's own parameters; None leaves one out."""
        return links.address(self.filters, **{"at": self.as_of, **params})


def frame(default: str = "last_week", show: tuple[str, ...] = ("period", "unit", "category", "channel")) -> Frame:
    """Draw the filter bar and say what is asked. ``default`` is the period of an address without one."""
    zone, as_of = ZoneInfo(settings().zone), data.as_of()
    table, categories, channels = known()
    options = choices(table, filters.asked("unit"), categories, channels)
    chosen = filters.bar(options, as_of=as_of, zone=zone, default=default, show=show)
    root = options.path[0][0] or None
    return Frame(chosen, chosen.unit_id or root, as_of, zone, table, categories, channels)


def known() -> tuple[Tree, dict[int, str], dict[int, str]]:
    """The names of the viewer's units, of categories and of channels, by id. Nobody may change them."""
    return data.derived(_known, rows=False, since=data.read(units.version))


def _known() -> tuple[Tree, dict[int, str], dict[int, str]]:
    return (names_of_units(data.read(units.tree).itertuples()), names(data.read(units.categories).itertuples(), "category_id"),
            names(data.read(units.channels).itertuples(), "channel_id"))


def choices(table: Tree, asked: int | None, categories: dict[int, str], channels: dict[int, str]) -> Options:
    """What the bar offers: the way from the viewer's root to the unit asked for, and what lies below. Pure."""
    tops = table.below[None]
    real = [unit.id for unit in tops if unit.kind != "unmapped"]  # what nobody has placed yet does not make a second root
    root = real[0] if len(real) == 1 else tops[0].id if len(tops) == 1 else EVERYTHING
    path, here = [], asked if asked in table else None
    while here is not None and here != root:
        path.append((here, table[here].short))
        here = table[here].parent
    path.append((root, table[root].short if root else t("filter.everything")))
    last = path[0][0] or None
    below = [*table.below.get(last, []), *(unit for unit in tops if last is not None and len(path) == 1 and unit.id != last)]
    return Options(path[::-1], [(unit.id, unit.short) for unit in below], list(categories.items()), list(channels.items()))


def names_of_units(rows) -> Tree:
    """Units by id in the language of the run; a unit whose parent the viewer does not see is a root."""
    english = words.language() == "en"
    table: dict[int, Unit] = {}
    for row in rows:
        name = _first(row.name_en, row.name) if english else row.name
        short = _first(row.short_en, row.name_en, row.name) if english else _first(row.short, row.name)
        parent = None if row.parent_id != row.parent_id or row.parent_id is None else int(row.parent_id)
        table[row.unit_id] = Unit(row.unit_id, parent if parent in table else None, name, short, row.kind, row.level, row.active, parent)
    return Tree(table.values())


def names(rows, key: str) -> dict[int, str]:
    """Names by id in the language of the run."""
    english = words.language() == "en"
    return {getattr(row, key): _first(row.name_en, row.name) if english else row.name for row in rows}


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day where the office is."""
    return datetime.combine(day, time(), zone)


def _first(*texts: object) -> str:
    """The first that says something; an empty cell is None or NaN."""
    return next((text for text in texts if isinstance(text, str) and text), "")


def _id(value: object) -> int | None:
    return None if value is None or value != value else int(value)
