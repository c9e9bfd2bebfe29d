"""Roll-ups: which figures are kept counted, compiled from the catalogue; how they are built, folded and compared with the raw rows.

A complaint's predicates of the catalogue are looked at once when it was touched (`rollup_look`), kept as bits (`rollup_fact`) and added up in cells
(`rollup`) by line, grain, place and day. What time alone moves is not in the cells: open complaints of the due cohort, limits of today. Readers put
these and whatever was touched since their tick beside the cells, from the raw rows (queries/figures.py), so a figure is never behind its list.
The design and what was measured: docs/decisions.md.
"""
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from hashlib import sha256
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, TextClause, create_engine, text
from sqlalchemy.pool import NullPool

from queries import db, sums
from queries.indicators import BASES, CATALOGUE, PAIRS, PART, URGENT, facts
from queries.sums import Sums

SHIFTS = {-1: 63, 0: 55, 1: 39, 2: 25}     # a label cut off here is the unit above it at level 0, 1, 2 (unit_width); at 63 nothing is left: all together
DEEPEST = 2
PERIODIC = ("received", "due", "closed")                                   # cohorts by a day of the complaint
MOVING = {"received_due"}             # moved by time alone: not a bit of a complaint, see `Spread`
# Open and late: (how many working days at least). Which day that was is known beforehand, so that a cell can hold it.
LATE = {"overdue_open": 0, "overdue_list": 0, "overdue_open_5": 5, "overdue_list_5": 5, "notice_proposed": 5}
CHUNK = 20_000
AGAIN = 20_000       # touched complaints up to which they are read again beside the cells; after a large import more wait, and all is read from the raw rows


@dataclass(frozen=True)
class Line:
    """The indicators of one cohort, relation and clock: what a cell of this line counts, by position."""
    number: int
    cohort: str
    unit_of: str
    clock: str
    codes: tuple[str, ...]

    def place(self, code: str, part: str) -> int:
        """Where a cell keeps this count (1-based)."""
        return self._places()[code, part]

    @cache
    def _places(self) -> dict[tuple[str, str], int]:
        parts = [(code, part) for code in self.codes for part in ("den", "num") if part == "den" or CATALOGUE[code].num]
        return {one: place for place, one in enumerate(parts, 1)}

    @property
    def width(self) -> int:
        return len(self._places())


@dataclass(frozen=True)
class Grain:
    """One cube: places of this level, by day, week or month; each: "" categories and channels together, "c" by category, "h" by channel, "ch" by both."""
    number: int
    level: int
    each: str
    step: str

    @property
    def cells(self) -> float:
        """About how many there are of a month, where 50 units stand below the root and 450 below these."""
        return (1, 50, 450)[self.level] * 8 ** len(self.each) * {"day": 30, "week": 4.3, "month": 1}[self.step]


GRAINS = (Grain(0, 0, "", "day"), Grain(12, 1, "", "week"), Grain(2, 1, "", "day"), Grain(9, 0, "h", "day"), Grain(6, 0, "c", "day"), Grain(1, 0, "ch", "day"),
          Grain(5, 2, "", "month"), Grain(4, 2, "", "week"), Grain(3, 1, "ch", "month"), Grain(8, 1, "ch", "week"))
# No cell at all: the complaints' own facts, of any place, category and channel. Many times the cost of a cell, a fraction of that of a raw row.
FACTS = Grain(-1, 9, "ch", "day")
OF_DAYS = (*(g for g in GRAINS if g.number in (0, 1, 2, 3, 5, 6, 9)), Grain(10, 0, "", "month"), Grain(7, 1, "", "month"))     # where days to done and the links are asked for: of histograms few are read
TWO_DAYS = tuple(g for g in GRAINS if g.number in (0, 1, 2, 6, 9))          # where a line depends on two days: each day for itself
EDGES = 30                                                         # line of what came in and went out, by day: the ledger and stocks at midnight
# (level, what is kept apart) -> cells of days, and of the months that are over. Level -1: all roots together, what moves between them stays inside. A case
# that changes its category goes out of one cell and into another where categories are apart, and only there: so each has cells of its own.
APART = {"": 0, "c": 0x7FFF0000, "h": 0xFFFF, "ch": 0x7FFFFFFF}
EDGE_GRAINS = {(level, each): (Grain(number, level, each, "day"), Grain(number + 1, level, each, "month"))
               for number, (level, each) in zip(range(40, 64, 2), ((level, each) for level in (-1, 0, 1) for each in APART))}
BEFORE = date(2000, 1, 1)                                          # the day of all that lies before the days asked for
EDGE = {"received": 1, "reopened": 2, "restored": 3, "moved_in": 4, "done": 5, "excluded": 6, "moved_out": 7, "open_in": 8, "open_out": 9,
        "late_in": 10, "late_out": 11, "late5_in": 12, "late5_out": 13}
# Counts of what is open that no passing of time changes.
OPEN = ("urge_unsigned", "directive_open", "withdrawal_pending", "to_approve")
PROMISED = "promise_passed"           # open ones by the day promised: those of the days before today


def _lines() -> dict[tuple[str, str, str], Line]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for i in CATALOGUE.values():
        own = f"{i.den} {i.num}"
        if i.cohort in PERIODIC and i.clock in ("r", "d", "o") and i.code not in MOVING and ":start" not in own:
            found.setdefault((i.cohort, i.unit_of, i.clock), []).append(i.code)
            if i.cohort == "due" and ".first_" not in own:
                found.setdefault(("late", i.unit_of, i.clock), []).append(i.code)
        elif i.code in LATE:
            found.setdefault(("late5" if LATE[i.code] else "late", i.unit_of, i.clock), []).append(i.code)
        elif i.code in OPEN:
            found.setdefault((i.cohort, i.unit_of, i.clock), []).append(i.code)
        elif i.code == PROMISED:
            found["promise", i.unit_of, i.clock] = [i.code]
    return {key: Line(number, *key, tuple(codes)) for number, (key, codes) in enumerate(sorted(found.items()), 1)}


# "late": what is open, by the day of its limit. Once that day is over it counts among those due, as late; "late5": by the day from which it is more than five late.
LINES = _lines()
LINE_OF = {code: line for line in LINES.values() for code in line.codes if line.cohort != "late" or code in LATE}
LABEL = {"charged": "{}.charged_label", "about": "{}.about_label", "responsible": "{}.label"}
DAY = {"received": "{}.received_day", "due": "{}.due_day", "closed": "{}.closed_day", "open": "date '2000-01-01'", "promise": "{}.promised_on",      # what is open has no day
       "late": "{}.due_day", "late5": "{}.late5_day"}


@dataclass(frozen=True)
class Spread:
    """A line whose cells are a histogram: of facts `f` with `where`, how many by `value`. With a second day as the value, counts that depend on two days
    can be added up from cells of one: what was urged in a period and not before in it, what is in two cohorts of one period, what of a receipt fell due."""
    number: int
    label: str
    day: str
    value: str
    where: str = "true"
    grains: tuple[Grain, ...] = OF_DAYS
    of: str = ""                      # rows of its own beside each complaint
    near: str = ""                    # what holds of each complaint that has one in the period :first to :last, as an index knows it


def _bit(code: str, part: str = "den") -> str:
    """The complaint counts there: among those due also once it is late and open."""
    i = CATALOGUE[code]
    lines = [LINE_OF[code]] if code in LATE else [LINES[i.cohort, i.unit_of, i.clock], *([LINES["late", i.unit_of, i.clock]] if i.cohort == "due" else [])]
    return "(" + " | ".join(f"coalesce((f.bits[{line.number}] >> {line.place(code, part) - 1}) & 1, 0)" for line in lines) + ") = 1"


def _spreads() -> dict[str, Spread]:
    found = [("done", Spread(20, "charged", "f.closed_day", "f.days_used", f"f.days_used >= 0 and {_bit('days_done')}"))]      # fewer than none: see `_BELOW_ZERO`
    found += [(link, Spread(number, "charged", "f.closed_day", f"f.links[{place}]")) for place, (number, link) in enumerate(zip(range(21, 25), ("dispatch", "sign", "handle", "close")), 1)]
    urged = [(f"{code}_{part}", number, which) for code, part, number, which in (("urged", "den", 31, 1), ("urge_acknowledged", "num", 32, 2), ("urge_done", "num", 33, 3))]
    found += [(name, Spread(number, "responsible", "u.day", "u.value", "f.urges is not null", TWO_DAYS, f"cross join lateral rollup_urge_values(f.urges, {which}) as u",
                      "f.urges[cardinality(f.urges) - 4] >= :first - date '2000-01-01' and f.urges[1] < :last - date '2000-01-01'"))
              for name, number, which in [*urged, ("moved", 34, 4)]]
    found += [("due", Spread(35, "charged", "f.received_day", "case when f.due_day >= f.received_day then least(f.due_day - f.received_day, 2000) else 0 end",
                              f"isfinite(f.due_day) and {_bit('received_met')}", TWO_DAYS))]
    found += [("source", Spread(42, "charged", "f.received_day", "f.source_id", "true", GRAINS[:1]))]
    number = 36
    for one, other in PAIRS:
        for part in ("den", "num"):
            day, second = (DAY[cohort].format("f") for cohort in (one, other))
            found.append((f"{one}_{other}_{part}", Spread(number, "charged", day, f"rollup_zigzag({second} - {day})",
                                                          f"{_bit(BASES[one], part)} and {_bit(BASES[other], part)}", TWO_DAYS)))
            number += 1
    return dict(found)


SPREADS = _spreads()


@dataclass(frozen=True)
class Listed:
    """A list of few among many, whose first rows are found by the facts: which facts (`which`, those of its index, of them those for which `today` holds), by which
    label, done in the period or not, in which order (as the list's own, but coarser), by which index; what no fact tells, of the rows; and the order by days late."""
    which: str
    label: str
    period: bool
    order: str
    index: str
    today: str = "true"
    rest: str = ""
    late: str = ""

    def ordered(self, sort: str) -> str:
        """The coarser order for one of complaints.SORTS; empty where facts do not tell it."""
        return {"urgent": self.order, "late": self.late}.get(sort, "")


_URGENT = ("f.urgent desc, f.due_day", "urgent desc, due_day, label, category_id, channel_id")
_OVERDUE = ("f.due_day < :today", "s.clock = 'r' and s.due_at >= :midnight and s.due_at < :as_of", "f.due_day")
LISTED = {"low_score": Listed(_bit("low_score"), "about_label", True, f"{_bit('low_score', 'num')}, f.called_day desc", "closed_day"),
          "call_again": Listed(_bit("call_again"), "about_label", True, "f.called_day", "closed_day"),
          "overdue_open": Listed(_bit("overdue_open"), "charged_label", False, _URGENT[0], _URGENT[1].replace("label", "charged_label"), *_OVERDUE),
          "overdue_list": Listed(_bit("overdue_list"), "label", False, *_URGENT, *_OVERDUE),
          # what is open has bits of the open line, be they all zero; of a redo that is open no fact tells
          "backlog": Listed(f"f.clock = 'r' and f.bits[{LINES['open', 'responsible', 'r'].number}] is not null", "label", False, *_URGENT, rest="s.clock = 'o'")}


# -- what a reader takes from the cells ----------------------------------------------------------------------------------------------------

_TOUCHED = text("""select rollup_touched(:as_of, :zone, :catalogue, :lo, :hi, :most) as touched, not exists (select from source as o where o.tz <> :zone) as home,
           (select count(*) from calendar) = 1 as alike, about_me() as hidden""")
_LEVELS = text("""select (select u.level from unit as u where u.label = :lo and u.label_end = :hi) as level,
           (select u.level from unit as u where u.unit_id = cast(:parent as int)) as above""")
_STEPS = {"all": ("day", "week", "month"), "child": ("day", "week", "month"), "level": ("day", "week", "month"), "category": ("day", "week", "month"),
          "category_id": ("day", "week", "month"), "channel": ("day", "week", "month"), "channel_id": ("day", "week", "month"),
          "category_channel": ("day", "week", "month"), "week": ("day", "week"), "child_week": ("day", "week"), "month": ("day", "month"),
          "category_day": ("day",), "ageing": ("day",)}                                      # a group -> the steps of time that it can be put together from
AGES = (0, 3, 5, 10, 30)                      # working days late up to which it is this old, 5 is the step to 拟通报: as many groups, and one for what is older
AGE = f"case {' '.join(f'when {{0}} <= {most} then {age}' for age, most in enumerate(AGES))} else {len(AGES)} end"
_OLD = """coalesce((select w.ordinal from workday as w where w.day = (:as_of at time zone :zone)::date) - (select w.ordinal from workday as w where w.day = {}), 0)"""      # of the one calendar
_BELOW = {"child": 1, "child_week": 1, "level": 0}
_GROUP = {"all": "cast('all' as text)", "child": "place.group_id", "level": "place.group_id", "category_id": "r.category_id", "channel_id": "r.channel_id",
          "category": "(select k.name from category as k where k.category_id = r.category_id)",
          "channel": "(select k.name from channel as k where k.channel_id = r.channel_id)", "category_channel": "r.category_id * 1000 + r.channel_id",
          "week": "to_char(date_trunc('week', r.day), 'YYYY-MM-DD')", "month": "to_char(r.day, 'YYYY-MM')",
          "child_week": "place.group_id || ' ' || to_char(date_trunc('week', r.day), 'YYYY-MM-DD')",
          "category_day": "r.category_id || ' ' || to_char(r.day, 'YYYY-MM-DD')", "ageing": AGE.format(_OLD.format("r.day"))}
_FILTERS = """(cast(:category as int) is null or r.category_id = cast(:category as int))
       and (cast(:channel as int) is null or r.channel_id = cast(:channel as int))"""


def serving(conn: Connection, params: dict, by: str) -> "Cells | None":
    """The cells as they may be used for this question, or None: another zone or a source is asked for, the groups are others than the cells', the
    account's scope is no place of theirs, they are being built, or very much was touched since :as_of."""
    if by not in _STEPS or params["source"] is not None:
        return None
    found, whole = _since(conn, params), params["lo"] <= 0
    if found.touched is None:
        return None
    level = 0
    if not whole or by in _BELOW:
        place = {name: params[name] for name in ("lo", "hi", "parent")}
        deep = db.once(conn, ("levels", *place.values()), lambda: conn.execute(_LEVELS, place).one())
        if not whole and deep.level is None:
            return None
        level = 0 if whole else deep.level
        if by in _BELOW:                       # groups lie one level below their parent; with none they are the roots
            level = max(level, 0 if deep.above is None else deep.above + _BELOW[by])
    return Cells(params, level, list(found.touched), sorted({*found.touched} - {*found.hidden}), found.home, found.home and found.alike)


def _since(conn: Connection, params: dict) -> Row:
    """What was touched since :as_of. What was touched since a moment before serves as well, and is not asked for again in one transaction."""
    asked = {name: params[name] for name in ("as_of", "zone", "lo", "hi")}
    known: dict[datetime, Row] = db.once(conn, ("touched", asked["zone"], asked["lo"], asked["hi"]), dict)
    before = max((moment for moment, row in known.items() if moment == asked["as_of"] or moment < asked["as_of"] and row.touched is not None), default=asked["as_of"])
    if before not in known:
        known[before] = conn.execute(_TOUCHED, asked | {"catalogue": compiled()[0], "most": AGAIN}).one()
    return known[before]


@dataclass(frozen=True)
class Piece:
    """Days of a period that one grain answers: from `first` to before `last`."""
    grain: Grain
    first: date
    last: date


@dataclass(frozen=True)
class Core:
    """The part of a period that is kept counted, in `lines`. To the raw rows are left `rest`, the stretches before and after it; of those due what is
    `open`, where no line says how it counts once late; of what is late now, what fell due `today`."""
    pieces: list[Piece]
    lines: tuple[Line, ...]
    start: datetime
    end: datetime
    rest: list[tuple[datetime, datetime]]
    open: bool = False
    today: datetime | None = None


@dataclass(frozen=True)
class Cells:
    """Cells that may answer a question about places down to `level`. `touched` complaints are not to be counted as they are in the cells; of these the
    reader sees `again`, which is read raw instead. home: all sources are of the office's time zone; alike: and of one calendar."""
    params: dict
    level: int
    touched: list[int]
    again: list[int]
    home: bool
    alike: bool

    @property
    def question(self) -> tuple:
        """Whatever their sums depend on beside the period."""
        return tuple(self.params[name] for name in ("as_of", "lo", "hi", "parent", "category", "channel"))

    def core(self, codes: tuple[str, ...], by: str) -> Core | None:
        """What the cells can say of these indicators (one cohort, unit and clock); None: nothing."""
        i = CATALOGUE[codes[0]]
        line = LINE_OF.get(codes[0])
        if by not in _GROUP or line is None or not set(codes) <= set(line.codes):
            return None
        if i.cohort == "open":
            return self._now(line, codes, by)
        if by == "ageing":
            return None
        found = self.pieces(by, past=i.cohort == "due")
        if found is None:
            return None
        late = LINES["late", line.unit_of, line.clock] if i.cohort == "due" else None
        lines = (line, late) if late and set(codes) <= set(late.codes) else (line,)
        pieces, start, end, rest = found
        return Core(pieces, lines, start, end, rest, open=late not in (None, *lines))

    def _now(self, line: Line, codes: tuple[str, ...], by: str) -> Core | None:
        """What is open now has no period; of what is late, limits of the days before today."""
        if line.cohort == "late5" and not self.home or not {"day", "week", "month"} <= set(_STEPS[by]) and (by != "ageing" or line.cohort != "late" or not self.alike):
            return None
        each = self._each(by)
        grain = next((g for g in GRAINS if g.level >= self.level and set(each) <= set(g.each) and (g.step == "day" or g.step == "month" and line.cohort == "open")), None)      # its one day is the first of a month
        if grain is None:
            return None
        today = self.params["as_of"].astimezone(ZoneInfo(self.params["zone"])).replace(hour=0, minute=0, second=0, microsecond=0)
        last = {"open": date(2000, 1, 2), "late5": today.date() + timedelta(days=1)}.get(line.cohort, today.date())
        return Core([Piece(grain, date(2000, 1, 1), last)], (line,), self.params["start"], self.params["end"], [], today=today if line.cohort == "late" else None)

    def _each(self, by: str) -> str:
        """Which of category and channel a grain has to keep apart."""
        p = self.params
        return ("c" if p["category"] is not None or by.startswith("category") else "") + ("h" if p["channel"] is not None or by.startswith(("channel", "category_channel")) else "")

    def pieces(self, by: str, past: bool = False, grains: tuple[Grain, ...] = GRAINS, by_months: bool = False) -> tuple[list[Piece], datetime, datetime, list[tuple[datetime, datetime]]] | None:
        """Of the period: what cells answer, and at both ends of it what the facts do; from when to when that is; what is left to the raw rows, because it
        is no whole day. None: there is no whole day. Deep in the tree the facts are few, and take all where cells do not. past: only days that are over. by_months: its whole months by cells of months,
        the days before and after them for themselves (of histograms few are to be read)."""
        p, zone = self.params, ZoneInfo(self.params["zone"])
        today = p["as_of"].astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        asked_start, asked_end = (_local(p[name], zone) for name in ("start", "end"))
        whole = _within(asked_start, min(asked_end, today) if past else asked_end, "day")
        if whole is None:
            return None
        start, end = whole
        months = next((g for g in sorted(grains, key=lambda one: one.cells) if by_months and g.step == "month" and self._answers(g, by)), None)
        inner = months and _within(start, end, "month")
        if inner:
            days = tuple(g for g in grains if g.step != "month")
            kept = [*self._kept(by, start, inner[0], days), Piece(months, inner[0].date(), inner[1].date()), *self._kept(by, inner[1], end, days)]
        else:
            kept = self._kept(by, start, end, grains)
        return kept, start, end, [(a, b) for a, b in ((p["start"], start), (end, p["end"])) if _local(a, zone) < _local(b, zone)]

    def _answers(self, grain: Grain, by: str) -> bool:
        return grain.level >= self.level and set(self._each(by)) <= set(grain.each) and grain.step in _STEPS[by]

    def _kept(self, by: str, start: datetime, end: datetime, grains: tuple[Grain, ...]) -> list[Piece]:
        """Of these days: what the cells of one grain answer, and at both ends of it what the facts do."""
        best: Piece | None = None
        for grain in sorted(grains, key=lambda one: one.cells):          # of two that cover as much of the period the one with fewer cells
            found = _within(start, end, grain.step) if self._answers(grain, by) else None
            if found and (best is None or (found[1] - found[0]).days > (best.last - best.first).days):
                best = Piece(grain, found[0].date(), found[1].date())
        few = self.params["hi"] - self.params["lo"] < 1 << SHIFTS[DEEPEST - 1]
        kept = [Piece(FACTS, start.date(), end.date())]
        if best is not None and (not few or (best.first, best.last) == (start.date(), end.date())):
            kept = [Piece(FACTS, start.date(), best.first), best, Piece(FACTS, best.last, end.date())]
        return [one for one in kept if one.first < one.last]

    def whole(self, by: str, past: bool = False) -> Piece | None:
        """The period in one piece, of a grain of TWO_DAYS or of facts; None where it does not consist of whole days, or is too long. past: the days before today."""
        found = self.pieces(by, past, TWO_DAYS)
        if found is None:
            return None
        kept, start, end, rest = found
        if (end - start).days > 400 or any(past is False or a < end for a, _ in rest):
            return None
        return kept[0] if len(kept) == 1 else Piece(FACTS, start.date(), end.date())


def spread(conn: Connection, cells: Cells, names: tuple[str, ...], piece: Piece, by: str, most: int = 10_000) -> list[Row]:
    """Histograms of these days, without touched complaints: rows (grp, name, day, value, n), of values up to `most`. The day is told only of those that depend on
    two days; of the others null."""
    params = cells.params | {"grain": piece.grain.number, "first": piece.first, "last": piece.last, "touched": cells.touched, "most": most}
    return db.once(conn, ("spread", names, piece, by, most, *cells.question),
                   lambda: list(conn.execute(_spread_statement(names, by, piece.grain is FACTS, bool(cells.touched)), params)))


def among(conn: Connection, cells: Cells, code: str, most: int, sort: str = "urgent") -> list[int]:
    """Complaints among which the first `most` of this list (LISTED) are, sorted in a way that it knows: by the facts, in an order of which the list's own is a finer
    one, with all that stand as the last does; and what was touched. Their rows say which they are. Fewer than `most` are all that may be listed. A period that is not
    of whole days has no first ones: all."""
    listed, p, zone = LISTED[code], cells.params, ZoneInfo(cells.params["zone"])
    midnight = p["as_of"].astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    params, within_period = p | {"midnight": midnight, "today": midnight.date(), "touched": cells.touched}, ""
    if listed.period:
        start, end = (_local(p[name], zone) for name in ("start", "end"))
        whole, within_period = _within(start, end, "day") == (start, end), "and f.closed_day >= :first and f.closed_day < :last"
        params |= {"first": start.date(), "last": end.date() if whole else end.date() + timedelta(days=1)}
        most = most if whole else 1 << 40
    rest = f"""union all select s.complaint_id from clock_span as s where s.left_at = 'infinity' and {listed.rest} and s.{listed.label} between :lo and :hi""" if listed.rest else ""
    found = conn.execute(text(f"""(select f.complaint_id from rollup_fact as f where {listed.which} and {listed.today} {within_period} and f.{listed.label} between :lo and :hi
                                      and {_FILTERS.replace("r.", "f.")} and f.complaint_id <> all (cast(:touched as bigint[]))
                                    order by {listed.ordered(sort)} fetch first :most rows with ties) {rest}"""), params | {"most": most})
    return sorted({*found.scalars(), *cells.again})


# How a list of a cohort is sorted, as far as days tell: the list's own order is a finer one. Days late, with one calendar, from the days themselves.
_DAYS_LATE = "greatest(0, coalesce(ended.ordinal, today.ordinal) - due.ordinal)"
_SORTED = {"urgent": f"f.urgent desc, {_DAYS_LATE} desc, f.due_day", "late": f"{_DAYS_LATE} desc, f.due_day", "newest": "f.received_day desc", "oldest": "f.received_day", "due": "f.due_day"}


def counting(conn: Connection, cells: Cells, code: str, part: str = "den", sort: str = "", most: int | None = None) -> list[int] | None:
    """Complaints that count in this indicator of a cohort, and what was touched, which may; None where facts alone do not say it. With `most` those among which the
    first so many of the list are, in that order, with all that stand as the last does."""
    i = CATALOGUE[code]
    found = cells.pieces("all", past=i.cohort == "due") if code in LINE_OF and i.cohort in PERIODIC else None
    if found is None or found[3] and i.cohort != "due":
        return None
    _, start, end, rest = found
    label, day = LABEL[i.unit_of].format("f"), DAY[i.cohort].format("f")
    which = f"""{PART[part].format(den=_bit(code), num=_bit(code, "num") if i.num else "true")} and {day} >= :first and {day} < :last and {label} between :lo and :hi
                and {_FILTERS.replace("r.", "f.")} and f.complaint_id <> all (cast(:touched as bigint[]))"""
    params = cells.params | {"first": start.date(), "last": end.date(), "touched": cells.touched, "most": most}
    if most is None:
        rows = conn.execute(text(f"select f.complaint_id from rollup_fact as f where {which}"), params).scalars().all()
    else:
        first = f"""select f.complaint_id from rollup_fact as f join workday as today on today.day = (:as_of at time zone :zone)::date
                      left join workday as due on due.day = f.due_day left join workday as ended on ended.day = f.closed_day
                     where {which}{{}} order by {_SORTED[sort]} fetch first :most rows with ties"""
        rows = conn.execute(text(first.format(" and f.urgent > 0")), params).scalars().all() if sort == "urgent" else []       # one in fifteen, by an index of their own
        rows = rows if len(rows) >= most else conn.execute(text(first.format("")), params).scalars().all()
    fell_due = text(f"select s.complaint_id from clock_span as s where s.clock = '{i.clock}' and s.due_at >= :since and s.due_at <= :until and {LABEL[i.unit_of].format('s')} between :lo and :hi")
    beside = [one for one, other in rest for one in conn.execute(fell_due, params | {"since": one, "until": min(other, params["as_of"])}).scalars()]      # of today: a few thousand at most
    return sorted({*rows, *beside, *cells.again})



@cache
def _spread_statement(names: tuple[str, ...], by: str, facts: bool, touched: bool) -> TextClause:
    from queries.figures import PLACED, PLACES, SCOPE
    some = [SPREADS[name] for name in names]
    day = "r.day" if some[0].grains == TWO_DAYS else "cast(null as date)"
    place = PLACED[by].format(label="r.place") if by in PLACES else ""
    names_of = " ".join(f"when {one.number} then '{name}'" for name, one in zip(names, some))

    def of_facts(which: str, n: int) -> list[str]:
        return [f"""
        select {one.number} as line, {LABEL[one.label].format("f")} as place, {one.day} as day, f.category_id, f.channel_id, {one.value} as value, {n} as n
          from rollup_fact as f {one.of}
         where f.complaint_id {which} (cast(:touched as bigint[])) and f.clock = 'r' and ({one.value}) is not null and ({one.day}) >= :first and ({one.day}) < :last and ({one.where}){one.near and f" and {one.near}"}
           and {SCOPE.format(label=LABEL[one.label].format("f"))}""" for one in some]

    cells = f"""select r.line, r.place, r.day, r.category_id, r.channel_id, u.place - 1 as value, u.n
              from rollup as r cross join lateral unnest(r.n[1:(:most) + 1]) with ordinality as u(n, place)
             where r.line in ({", ".join(str(one.number) for one in some)}) and r.grain = :grain and r.day >= :first and r.day < :last and r.place between :lo and :hi
               and u.n <> 0"""
    parts = of_facts("<> all", 1) if facts else [cells, *(of_facts("= any", -1) if touched else [])]
    return text(f"""{f"with {PLACES[by]} " if by in PLACES else ""}select {_GROUP[by]} as grp, case r.line {names_of} end as name, {day} as day, r.value, sum(r.n)::int as n
      from ({" union all ".join(parts)}) as r {place}
     where {_FILTERS}
     group by 1, 2, 3, 4""")


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    """In this zone; a moment without one (the ends of no period) is taken as it is."""
    return moment.astimezone(zone) if moment.tzinfo else moment.replace(tzinfo=zone)


def _within(start: datetime, end: datetime, step: str) -> tuple[datetime, datetime] | None:
    """The whole days, weeks or months between two moments."""
    first, last = _ceil(start, step), _floor(end, step)
    return (first, last) if first < last else None


def _floor(moment: datetime, step: str) -> datetime:
    day = moment.date()
    day = day.replace(day=1) if step == "month" else day - timedelta(days=day.weekday()) if step == "week" else day
    return datetime(day.year, day.month, day.day, tzinfo=moment.tzinfo)


def _ceil(moment: datetime, step: str) -> datetime:
    at = _floor(moment, step)
    if at == moment:
        return at
    day = at.date() + {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=32)}[step]
    return _floor(datetime(day.year, day.month, day.day, tzinfo=moment.tzinfo), step)


def earliest(conn: Connection, cells: Cells, before: date) -> dict[int, date] | None:
    """The earliest day, before that day, on which the limit of one that is open now ran out, or the first of its week or month: by child of `parent`. None: no cells."""
    line = LINES["late", "charged", "r"]
    each = cells._each("child")
    grain = next((g for g in GRAINS if g.level >= cells.level and set(each) <= set(g.each)), None)
    return grain and dict(conn.execute(_earliest_statement(line.place("overdue_open", "den")), cells.params | {"line": line.number, "grain": grain.number, "before": before}).all())


@cache
def _earliest_statement(place: int) -> TextClause:
    from queries.figures import PLACED, PLACES
    return text(f"""with {PLACES["child"]} select place.group_id as grp, min(r.day) as day
      from rollup as r {PLACED["child"].format(label="r.place")}
     where r.line = :line and r.grain = :grain and r.day < :before and r.place between :lo and :hi and r.n[{place}] > 0 and place.group_id is not null and {_FILTERS}
     group by 1""")


def _columns(lines: tuple[Line, ...], codes: tuple[str, ...], count: Callable[[Line, int], str], sign: str = "") -> str:
    """`<code>_den` and `<code>_num`, each the sum over the lines of what `count` says of its place there."""
    parts = [(code, part) for code in codes for part in ("den", "num") if (code, part) in lines[0]._places()]
    return ", ".join(f"{sign}coalesce(sum({' + '.join(count(line, line.place(code, part)) for line in lines)}), 0)::bigint as {code}_{part}" for code, part in parts)


def counted(conn: Connection, cells: Cells, core: Core, codes: tuple[str, ...], by: str) -> list[Sums]:
    """<code>_den and <code>_num by group, of each piece, without touched complaints."""
    found = []
    for piece in core.pieces:
        found += db.once(conn, ("counted", core.lines, piece, codes, by, *cells.question), lambda: _counted(conn, cells, core.lines, piece, codes, by))
    return found


def _counted(conn: Connection, cells: Cells, lines: tuple[Line, ...], piece: Piece, codes: tuple[str, ...], by: str) -> list[Sums]:
    params = cells.params | {"grain": piece.grain.number, "first": piece.first, "last": piece.last, "touched": cells.touched}
    statement = _fact_statement(lines, codes, by) if piece.grain is FACTS else _cell_statement(lines, codes, by)
    found = [sums.read(conn, statement, params)]
    return found + ([_stored(conn, cells, lines, piece, codes, by)] if cells.touched and piece.grain is not FACTS else [])


@cache
def _cell_statement(lines: tuple[Line, ...], codes: tuple[str, ...], by: str) -> TextClause:
    columns = _columns(lines, codes, lambda line, place: f"r.n[{place}]" if len(lines) == 1 else f"case r.line when {line.number} then r.n[{place}] else 0 end")
    return _summed(columns, "rollup", f"r.line in ({', '.join(str(line.number) for line in lines)}) and r.grain = :grain", by)


@cache
def _fact_statement(lines: tuple[Line, ...], codes: tuple[str, ...], by: str) -> TextClause:
    first = lines[0]
    columns = _columns(lines, codes, lambda line, place: f"coalesce(r.bits[{line.number}] >> {place - 1} & 1, 0)")
    rows = f"(select f.*, {LABEL[first.unit_of].format('f')} as place, {DAY[first.cohort].format('f')} as day from rollup_fact as f)"
    bits = " or ".join(f"r.bits[{line.number}] <> 0" for line in lines)
    return _summed(columns, rows, f"({bits}) and r.complaint_id <> all (cast(:touched as bigint[]))", by)


def _summed(columns: str, rows: str, where: str, by: str) -> TextClause:
    from queries.figures import PLACED, PLACES
    place = PLACED[by].format(label="r.place") if by in PLACES else ""
    return text(f"""{f"with {PLACES[by]} " if by in PLACES else ""}select {_GROUP[by]} as grp, {columns}
      from {rows} as r {place}
     where {where} and r.day >= :first and r.day < :last and r.place between :lo and :hi and {_FILTERS}
     group by 1""")


def _stored(conn: Connection, cells: Cells, lines: tuple[Line, ...], piece: Piece, codes: tuple[str, ...], by: str) -> Sums:
    """What touched complaints still count for in these cells, with a minus: <code>_den and <code>_num by group."""
    p, first = cells.params, lines[0]
    facts = db.once(conn, ("facts", *cells.touched), lambda: conn.execute(_FACTS, {"touched": cells.touched}).all())
    group = _group(conn, by, p)
    label, day = LABEL[first.unit_of].format("")[1:], DAY[first.cohort].format("")[1:]
    columns = [(code, part) for code in codes for part in ("den", "num") if (code, part) in first._places()]
    found: dict = {}
    for fact in facts:
        place = getattr(fact, label)
        on = date(2000, 1, 1) if first.cohort == "open" else getattr(fact, day)
        if (on is None or not piece.first <= on < piece.last or not p["lo"] <= place <= p["hi"] or p["category"] not in (None, fact.category_id)
                or p["channel"] not in (None, fact.channel_id) or not any(fact.bits[line.number - 1] for line in lines)):
            continue
        total = found.setdefault(group(place, on, fact), [0] * len(columns))
        for bits, places in ((fact.bits[line.number - 1] or 0, [line.place(*column) for column in columns]) for line in lines):
            for at, place in enumerate(places):
                total[at] -= bits >> place - 1 & 1
    return Sums(tuple(f"{code}_{part}" for code, part in columns), {group: tuple(total) for group, total in found.items()})


_FACTS = text("""
    select label, about_label, charged_label, category_id, channel_id, bits, received_day, case when isfinite(due_day) then due_day end as due_day, closed_day, promised_on, late5_day
      from rollup_fact where complaint_id = any (cast(:touched as bigint[]))""")


def _group(conn: Connection, by: str, params: dict) -> Callable[[int, date, Row], object]:
    """The groups of `_GROUP` for one complaint: by its label, the line's day, its fact."""
    def week(day: date) -> str:
        return str(day - timedelta(days=day.weekday()))

    def names(table: str) -> dict[int, str]:
        return db.once(conn, ("names", table), lambda: dict(conn.execute(text(f"select {table}_id, name from {table}")).all()))      # one of two words, from here

    if by in _BELOW:
        places = db.once(conn, ("places", by, params["parent"]), lambda: conn.execute(_placed(by), {"parent": params["parent"]}).all())
        at, shift = {row.label: row.group_id for row in places}, places[0].shift if places else 0
        if by == "child_week":
            return lambda place, day, fact: None if (found := at.get(place >> shift << shift)) is None else f"{found} {week(day)}"
        return lambda place, day, fact: at.get(place >> shift << shift)
    return {"all": lambda place, day, fact: "all", "category_id": lambda place, day, fact: fact.category_id, "channel_id": lambda place, day, fact: fact.channel_id,
            "category": lambda place, day, fact: names("category")[fact.category_id], "channel": lambda place, day, fact: names("channel")[fact.channel_id],
            "category_channel": lambda place, day, fact: fact.category_id * 1000 + fact.channel_id, "week": lambda place, day, fact: week(day),
            "month": lambda place, day, fact: f"{day:%Y-%m}", "ageing": lambda place, day, fact: _age(conn, day, params), "category_day": lambda place, day, fact: f"{fact.category_id} {day}"}[by]


def _age(conn: Connection, day: date, params: dict) -> int:
    """The group of what fell due on that day and is late now."""
    old = db.once(conn, ("old", day), lambda: conn.execute(text(f"select {_OLD.format(':day')}"), {"as_of": params["as_of"], "zone": params["zone"], "day": day}).scalar_one())
    return next((age for age, most in enumerate(AGES) if old <= most), len(AGES))


@cache
def _placed(by: str) -> TextClause:
    from queries.figures import PLACED, PLACES
    shift = PLACED[by].split(" >> ")[1].split(") << ")[0]
    return text(f"with {PLACES[by]} select group_id, label, {shift} as shift from place")


# -- what came in and went out: the ledger, stocks at a midnight --------------------------------------------------------------------------

def edges(conn: Connection, params: dict, by: str = "all") -> "Edges | None":
    """The cells of what came in and went out for this question (lo, hi, zone, category, channel, source, parent; as_of), or None."""
    if by not in ("all", "child"):
        return None
    cells = serving(conn, params, by)
    if cells is None or cells.level > 1:
        return None
    return Edges(params, -1 if by == "all" and params["lo"] <= 0 else cells.level, cells.touched, cells.again)


@dataclass(frozen=True)
class Edges:
    """Sums of edges; `touched` complaints are left out of them, `again` are to be read raw in their stead."""
    params: dict
    level: int
    touched: list[int]
    again: list[int]

    def by_day(self, conn: Connection, by: str, since: date, until: date, kinds: tuple[str, ...]) -> list:
        """Rows (grp, day, and a count for each of these kinds of EDGE by its name) in order: all before `since` as the day BEFORE, then each day before `until`.
        Of all together a page asks several times; that series is short and read once in a transaction."""
        if by != "all":
            return self._read(conn, by, since, until, kinds)
        p = self.params
        kept: dict = db.once(conn, ("edges", self.level, p["lo"], p["hi"], p["category"], p["channel"], *self.touched), dict)
        if not kept or since < kept["since"] or until > kept["until"]:
            kept.update(since=min(since, until - timedelta(weeks=14)), until=until + timedelta(weeks=8))
            kept["rows"] = self._read(conn, by, kept["since"], kept["until"], tuple(EDGE))
        before = [row for row in kept["rows"] if row.day < min(since, until)]
        first = SimpleNamespace(grp="all", day=BEFORE, **{kind: sum(getattr(row, kind) for row in before) for kind in kinds})
        return [first, *(row for row in kept["rows"] if since <= row.day < until)]

    def _read(self, conn: Connection, by: str, since: date, until: date, kinds: tuple[str, ...]) -> list[Row]:
        each = "c" * (self.params["category"] is not None) + "h" * (self.params["channel"] is not None)
        days, months = EDGE_GRAINS[self.level, each]
        more = {"days": days.number, "months": months.number, "shift": SHIFTS[self.level], "apart": APART[each], "since": since, "month": since.replace(day=1),
                "until": until, "touched": self.touched}
        return list(conn.execute(_edge_statement(by, kinds, bool(self.touched)), self.params | more))


@cache
def _edge_statement(by: str, kinds: tuple[str, ...], touched: bool) -> TextClause:
    from queries.figures import PLACED, PLACES
    cells = f"""select r.place, r.day, r.category_id, r.channel_id, {", ".join(f"r.n[{EDGE[kind]}] as {kind}" for kind in kinds)}
              from rollup as r where r.line = {EDGES} and r.place between :lo and :hi"""
    less = f"""
          union all
        select e.place, e.day, e.category_id, e.channel_id, {", ".join(f"-(e.kind = {EDGE[kind]})::int" for kind in kinds)}
          from rollup_edges_stored(cast(:touched as bigint[]), :shift, :apart) as e
         where e.place between :lo and :hi and e.day < :until""" if touched else ""
    return text(f"""{f"with {PLACES[by]} " if by in PLACES else ""}select {_GROUP[by]} as grp, case when r.day < :since then date '{BEFORE}' else r.day end as day,
           {", ".join(f"sum(r.{kind})::bigint as {kind}" for kind in kinds)}
      from ({cells} and r.grain = :months and r.day < :month union all {cells} and r.grain = :days and r.day >= :month and r.day < :until{less}) as r
      {PLACED[by].format(label="r.place") if by in PLACES else ""}
     where {_FILTERS}
     group by 1, 2 order by 2""")


# -- what set-up compiles from the catalogue --------------------------------------------------------------------------------------------

def _bits(line: Line) -> str:
    """One bit for each count; only of what is settled, but for what a receipt already decides."""
    held = f"s.clock = '{line.clock}' and s.left_at > look_at"
    of = {"received": f"s.clock = '{line.clock}'", "due": f"s.clock = '{line.clock}' and s.left_at <= look_at and s.due_at is not null",
          "closed": f"s.clock = '{line.clock}' and s.ended_at <= look_at", "open": held, "promise": held, "late": f"{held} and s.due_at is not null",
          "late5": f"{held} and s.due_at is not null"}[line.cohort]
    parts = []
    for (code, part), place in line._places().items():
        i = CATALOGUE[code]
        den, num = ("urged.promised_on is not null" if code == PROMISED else i.den), i.num
        if line.cohort in ("late", "late5"):
            den, num = _once_late(den), num and _once_late(num)
        holds = f"({den})" if part == "den" else f"({den}) and ({num})"
        parts.append(f"((({holds}) is true)::int::bigint << {place - 1})")
    return f"case when {of} then\n               " + "\n             | ".join(parts) + " end"


def _once_late(predicate: str) -> str:
    """What a predicate says of an open complaint from the day after its limit, or the day from which it is that late."""
    return re.sub(r"\bs\.state\b", "'E'::\"char\"", re.sub(r"s\.days_late > \d+|s\.due_at < :as_of", "true", predicate))


def _look() -> str:
    from queries.timing import LINKS as NAMES
    from queries.timing import spent
    flags = [CATALOGUE[f"link_{name}"].den for name in NAMES]
    ordinals = {moment: f"(select w.ordinal from workday as w where w.calendar_id = s.calendar_id and w.day = (links.{moment}_at at time zone k.tz)::date)"
                for moment in ("dispatched", "signed", "replied")}
    links = ",\n               ".join(f"case when s.ended_at <= look_at and ({flag}) then ({to}) - ({start}) end"
                                      for flag, (start, to) in zip(flags, spent("s.started_ord", "s.days_used", ordinals)))
    bits = ",\n           ".join(_bits(line) for line in LINES.values())
    urgent = " + ".join(f"case when {one} then {2 ** place} else 0 end" for place, one in enumerate(reversed(URGENT)))
    body = f"""
        select s.complaint_id, s.clock, s.category_id, s.channel_id, s.restricted, s.label, s.about_label, s.charged_label,
               (s.received_at at time zone h.zone)::date, (s.due_at at time zone h.zone)::date,
               case when s.ended_at <= look_at then (s.ended_at at time zone h.zone)::date end,
               case when s.clock = 'r' and s.left_at > look_at then urged.promised_on end, s.days_used,
               array[{bits}],
               case when s.clock = 'r' and s.ended_at <= look_at and s.state <> 'X' then array[{links}] end,
               case when s.clock = 'r' then e.edges end, look_at,
               case when s.clock = 'r' and s.left_at > look_at then
                    (select w.day from workday as w where w.calendar_id = s.calendar_id and w.working and w.ordinal = s.due_ord + 6) end,
               case when s.clock = 'r' then g.urges end, s.source_id,
               ({urgent})::smallint,
               (office.at at time zone h.zone)::date
          from {facts(bits, 'links. urged. c. office.')}
          join calendar as k on k.calendar_id = s.calendar_id
          left join rollup_edges(ids) as e on e.complaint_id = s.complaint_id
          left join rollup_urges(ids, look_at) as g on g.complaint_id = s.complaint_id
         cross join rollup_head as h
         where s.clock in ({", ".join(f"'{clock}'" for clock in sorted({line.clock for line in LINES.values()}))}) and s.complaint_id = any (ids)"""
    return f"""create or replace function rollup_look(ids bigint[], look_at timestamptz) returns setof rollup_fact language sql stable
        security definer set search_path = desk, pg_temp as $look${body.replace(':as_of', 'look_at')} $look$"""


def _cells(rows: str, where: str, label: str, day: str, counts: list[tuple[str, str]], grains: tuple[Grain, ...], more: str = "") -> str:
    """These rows (facts `f`, weight w) added up in each grain: grain, place, day, category_id, channel_id, restricted and the counts. By branch, day,
    category and channel first, and the wider grains from that; `more` is one more column to keep apart."""
    from_base, deep = [g for g in grains if g.level <= 1], [g for g in grains if g.level > 1]
    cut, names, apart = SHIFTS[1], [name for name, _ in counts], f", {more}" if more else ""
    sums = ", ".join(f"{count} as {name}" for name, count in counts)
    group = f"group by g.grain, g.place, g.day, g.category_id, g.channel_id, f.restricted{apart}"
    keys = "g.grain, g.place, g.day, g.category_id, g.channel_id, f.restricted"
    wide = f"""select {keys}{apart}, {", ".join(f"sum({name})::int as {name}" for name in names)}
              from base as f cross join lateral (values {_places(from_base, "f.day", "f.place")}) as g (grain, place, day, category_id, channel_id) {group}"""
    below = f"""
            union all
            select {keys}{apart}, {sums}
              from {rows} cross join lateral (values {_places(deep, day, label)}) as g (grain, place, day, category_id, channel_id)
             where {where} {group}""" if deep else ""
    return f"""with base as materialized (
            select ({label} >> {cut}) << {cut} as place, {day} as day, f.category_id, f.channel_id, f.restricted{apart}, {sums}
              from {rows} where {where} group by 1, 2, 3, 4, 5{", 6" if more else ""})
            {wide}{below}"""


def _places(grains: list[Grain], day: str, label: str) -> str:
    """A row in each grain: its place and day."""
    step = {"day": day, "week": f"date_trunc('week', {day})::date", "month": f"date_trunc('month', {day})::date"}
    return ", ".join(f"({g.number}, ({label} >> {SHIFTS[g.level]}) << {SHIFTS[g.level]}, {step[g.step]}, "
                     + ("f.category_id" if "c" in g.each else "0::smallint") + (", f.channel_id)" if "h" in g.each else ", 0::smallint)") for g in grains)


KEYS = "grain, place, day, category_id, channel_id, restricted"


def _sums(rows: str) -> Iterator[tuple[int, str]]:
    """Number of each line, and the cells that these rows (columns w and those of rollup_fact) add up to, without those of nothing."""
    for line in LINES.values():
        column, day = f"f.bits[{line.number}]", DAY[line.cohort].format("f")
        counts = [(f"k{place}", f"sum(w * (({column} >> {place}) & 1)::int)::int") for place in range(line.width)]
        cells = _cells(f"{rows} as f", f"{column} <> 0 and {day} is not null and isfinite({day})", LABEL[line.unit_of].format("f"), day, counts, GRAINS)
        yield line.number, f"select {KEYS}, n from (select {KEYS}, array[{', '.join(name for name, _ in counts)}] as n from ({cells}) as x) as y where n <> array_fill(0, array[{line.width}])"
    for spread in SPREADS.values():
        where = f"f.clock = 'r' and ({spread.value}) is not null and ({spread.day}) is not null and isfinite({spread.day}) and ({spread.where})"
        cells = _cells(f"(select f.*, ({spread.value}) as days, ({spread.day}) as at from {rows} as f {spread.of} where {where}) as f", "true", LABEL[spread.label].format("f"), "f.at",
                       [("n", "sum(w)::int")], spread.grains, "days")
        yield spread.number, f"select {KEYS}, rollup_by_days(array_agg(days), array_agg(n)) as n from ({cells}) as x where n <> 0 group by {KEYS}"
    kinds = [f"k{kind}" for kind in EDGE.values()]
    days = ", ".join(f"({day.number}, {SHIFTS[day.level]}, {APART[day.each]})" for day, _ in EDGE_GRAINS.values())
    month_of = ", ".join(f"({day.number}, {month.number})" for day, month in EDGE_GRAINS.values())
    sums = ", ".join(f"coalesce(sum(w) filter (where e.kind = {kind}), 0)::int as k{kind}" for kind in EDGE.values())
    yield EDGES, f"""with base as materialized (
            select f.edges[i:i + 4] as edge, f.restricted, sum(w)::int as w
              from {rows} as f cross join lateral generate_series(1, cardinality(f.edges), 5) as i group by 1, 2
        ), each as materialized (
            select g.grain, e.place, e.day, e.category_id, e.channel_id, f.restricted, {sums}
              from base as f cross join (values {days}) as g (grain, shift, apart)
             cross join lateral rollup_edge_cells(f.edge, g.shift, g.apart) as e
             where f.w <> 0
             group by g.grain, e.place, e.day, e.category_id, e.channel_id, f.restricted)
        select {KEYS}, n from (
            select {KEYS}, array[{", ".join(kinds)}] as n from each
            union all
            select m.month, x.place, date_trunc('month', x.day)::date, x.category_id, x.channel_id, x.restricted, array[{", ".join(f"sum({kind})::int" for kind in kinds)}]
              from each as x join (values {month_of}) as m (grain, month) on m.grain = x.grain group by 1, 2, 3, 4, 5, 6) as y
         where n <> array_fill(0, array[{len(EDGE)}])"""


def _adds(rows: str) -> Iterator[str]:
    """A statement for each line that adds these rows to the cells, in their order: what is read together lies together."""
    for number, cells in _sums(rows):
        yield f"""insert into rollup as r (line, grain, place, day, category_id, channel_id, restricted, n)
            select {number}, grain, place, day, category_id, channel_id, restricted, n from ({cells}) as g order by {KEYS}
            on conflict (line, grain, place, day, category_id, channel_id, restricted) do update set n = rollup_sum(r.n, excluded.n)"""


_BY_DAYS = """create or replace function rollup_by_days(days int[], n int[]) returns int[] language sql immutable parallel safe as $$
    select array_agg(coalesce(u.n, 0) order by i.d) from generate_series(0, (select max(x) from unnest(days) x)) as i(d)
      left join unnest(days, n) as u(d, n) on u.d = i.d $$"""


_WHOLE = "(select 1 as w, x.* from rollup_fact as x)"


def _add() -> str:
    rows = "(select 1 as w, x.* from unnest(new) as x union all select -1, x.* from unnest(old) as x)"
    return f"""create or replace function rollup_add(old rollup_fact[], new rollup_fact[]) returns void language sql
        security definer set search_path = desk, pg_temp as $add$ {"; ".join(_adds(rows))} $add$"""


def _oversight() -> str:
    """What oversight() counts (0013): cells of months where a grain keeps the dimension apart at that level, else facts; what was touched from the raw rows. Several
    rows may speak of one place and column."""
    received, due = LINE_OF["received"], LINE_OF["compliance"]
    late = LINES["late", due.unit_of, due.clock]
    owed, met = (" + ".join(f"case r.line when {line.number} then coalesce(r.n[{line.place('compliance', part)}], 0) else 0 end" for line in (due, late)) for part in ("den", "num"))
    column = "case by_what when 'category' then {0}.category_id when 'channel' then {0}.channel_id end::int"

    def facts(which: str, sign: str) -> str:
        inside = f"f.clock = 'r' and not f.restricted and f.complaint_id {which} (touched)"
        return f"""
            select (f.about_label >> cut) << cut, {column.format("f")}, {sign}count(*), 0::bigint, 0::bigint from rollup_fact f
             where {inside} and f.received_day >= first and f.received_day < last and f.about_label between lo and hi and {_bit("received")} group by 1, 2
            union all
            select (f.charged_label >> cut) << cut, {column.format("f")}, 0, {sign}count(*), {sign}count(*) filter (where not ({_bit("compliance", "num")})) from rollup_fact f
             where {inside} and f.due_day >= first and f.due_day < last and f.charged_label between lo and hi and {_bit("compliance")} group by 1, 2"""

    def raw(which: str) -> str:
        return f"""
            select (s.about_label >> cut) << cut, {column.format("s")}, count(*), 0::bigint, 0::bigint from state(t) s
             where s.clock = 'r' and not s.restricted and s.received_at >= starts and s.received_at < stops {which} group by 1, 2
            union all
            select (s.charged_label >> cut) << cut, {column.format("s")}, 0, count(*), count(*) filter (where s.state <> 'A') from state(t) s
             where s.clock = 'r' and not s.restricted and s.due_at >= starts and s.due_at < stops and s.state in ('A', 'B', 'E') {which} group by 1, 2"""

    return f"""create or replace function oversight_counts(t timestamptz, starts timestamptz, stops timestamptz, deep int, by_what text)
        returns table (place bigint, col int, got bigint, owed bigint, over bigint) language plpgsql stable security definer set search_path = desk, pg_temp as $oversight$
        #variable_conflict use_column
        declare
            cut int := (array[{SHIFTS[0]}, {SHIFTS[1]}, {SHIFTS[2]}])[deep + 1]; head rollup_head; touched bigint[]; first date; last date; months int;
            lo bigint := case when sees_all() then 0 else my_lo() end; hi bigint := case when sees_all() then {2 ** 63 - 1} else my_hi() end;
        begin
            select h.* into head from rollup_head h;
            first := (starts at time zone head.zone)::date; last := (stops at time zone head.zone)::date;
            touched := array(select d.complaint_id from rollup_dirty d limit {CHUNK} + 1) || array(select f.complaint_id from rollup_fact f where f.touched_at > t limit {CHUNK} + 1);
            if head.ready is not true or cardinality(touched) > {CHUNK} or first::timestamp at time zone head.zone <> starts or last::timestamp at time zone head.zone <> stops then
                return query {raw("")};
                return;
            end if;
            months := case when deep = 1 then {next(g.number for g in GRAINS if (g.level, g.each, g.step) == (1, "ch", "month"))}
                           when by_what = 'none' then {next(g.number for g in GRAINS if (g.level, g.each, g.step) == (2, "", "month"))} end;
            if months is null then
                return query {facts("<> all", "")};
            else
                return query
                    select (r.place >> cut) << cut, {column.format("r")}, sum(case r.line when {received.number} then r.n[{received.place("received", "den")}] else 0 end)::bigint,
                           sum({owed})::bigint, sum({owed} - ({met}))::bigint
                      from rollup r
                     where r.line in ({received.number}, {due.number}, {late.number}) and r.grain = months and r.place between lo and hi
                       and r.day >= first and r.day < last and not r.restricted
                     group by 1, 2;
                return query {facts("= any", "-")};
            end if;
            return query {raw("and s.complaint_id = any (touched)")};
        end $oversight$"""


@cache
def compiled() -> tuple[str, str]:
    """The digest of what is compiled, and the statements (one text)."""
    statements = ";\n".join((_BY_DAYS, _look(), _add(), _oversight()))
    return sha256((statements + "".join(_adds(_WHOLE))).encode()).hexdigest()[:16], statements


def install(conn: Connection, zone: str) -> bool:
    """Compile the catalogue into the database where it is another than the one compiled there (or the office's zone is), as the schema's owner.
    True: the cells have to be built (`build`); until then figures are counted from the raw rows."""
    digest, statements = compiled()
    head = conn.execute(text("select catalogue, zone, ready from rollup_head")).one_or_none()
    if head is not None and (head.catalogue, head.zone) == (digest, zone):
        _index_lists(conn)
        return not head.ready
    _index_lists(conn, anew=True)
    conn.exec_driver_sql(statements.replace("%", "%%"))
    for name in ("rollup_look(bigint[], timestamptz)", "rollup_add(rollup_fact[], rollup_fact[])", "rollup_by_days(int[], int[])",
                 "oversight_counts(timestamptz, timestamptz, timestamptz, int, text)"):
        conn.execute(text(f"revoke execute on function {name} from public"))
    conn.execute(text("delete from rollup_head"))
    conn.execute(text("insert into rollup_head (catalogue, zone) values (:digest, :zone)"), {"digest": digest, "zone": zone})
    return True


def _index_lists(conn: Connection, anew: bool = False) -> None:
    """The indexes of LISTED that are not there; `anew`: all, because bits have other places now."""
    there = set(conn.execute(text("select indexname from pg_indexes where schemaname = 'desk' and tablename = 'rollup_fact'")).scalars())
    for code, listed in LISTED.items():
        if (name := f"rollup_fact_{code}") in there and anew:
            conn.execute(text(f"drop index {name}"))
        if name not in there or anew:
            conn.execute(text(f"create index {name} on rollup_fact ({listed.index}) where {listed.which.replace('f.', '')}"))


def build(url: str, *, jobs: int = 2, told: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Count everything anew, by the administrator's URL: complaints looked at. Readers use the raw rows meanwhile; what writers touch is noted and
    folded afterwards."""
    engine = create_engine(url, poolclass=NullPool, connect_args={"options": "-c search_path=desk,public -c timezone=UTC -c jit=off -c work_mem=128MB"})

    def owner(conn: Connection) -> Connection:
        conn.execute(text("set local role desk_owner"))
        return conn

    with engine.begin() as conn:
        began = owner(conn).execute(text("update rollup_head set ready = false returning clock_timestamp()")).scalar_one()
        for table in ("rollup_dirty", "rollup_fact", "rollup"):
            conn.execute(text(f"delete from {table}" if table == "rollup_dirty" else f"truncate {table}"))
        ids = list(conn.execute(text("select id from (select complaint_id as id, row_number() over (order by complaint_id) as n from complaint) x where n % :c = 1"),
                                {"c": CHUNK}).scalars())
        last = conn.execute(text("select max(complaint_id) from complaint")).scalar()
    spans = list(zip(ids, [*(one - 1 for one in ids[1:]), last]))

    def look(span: tuple[int, int]) -> int:
        with engine.begin() as conn:
            return owner(conn).execute(text("""
                with ids as materialized (select array_agg(complaint_id) as ids from complaint where complaint_id between :a and :b),
                     look as (select f.* from ids, rollup_look(ids.ids, clock_timestamp()) as f),
                     kept as (insert into rollup_fact select * from look returning 1)
                select count(*) from kept"""), {"a": span[0], "b": span[1]}).scalar_one()

    looked = 0
    with ThreadPoolExecutor(jobs) as pool:
        for place, _ in enumerate(pool.map(look, spans), 1):
            looked = place * CHUNK
            told(min(looked, last or 0), last or 0)

        def add(statement: str) -> None:
            with engine.begin() as conn:
                owner(conn).execute(text(statement.replace(":", r"\:")))

        list(pool.map(add, _adds(_WHOLE)))
    with engine.begin() as conn:
        owner(conn).execute(text("""insert into rollup_dirty select rollup_pending(array(select complaint_id from clock_span where valid_from > :began
                                        or (isfinite(left_at) and left_at > :began)), :began)"""), {"began": began})      # what lay ahead when the looks began
        conn.execute(text("update rollup_head set ready = true"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        for table in ("rollup_fact", "rollup", "rollup_dirty"):
            conn.execute(text(f"vacuum analyze {table}"))
    engine.dispose()
    return looked


def check(conn: Connection, *, told: Callable[[int, int], None] = lambda done, total: None) -> tuple[list[int], int]:
    """Look at every complaint again and add everything up again, as the schema's owner: complaints that count for something else than is stored
    (without those that wait for a fold), and how many cells differ from the stored complaints' sums. ([], 0) = equal to the raw rows."""
    fields = "complaint_id, clock, category_id, channel_id, restricted, label, about_label, charged_label, received_day, due_day, closed_day, promised_on, days_used, bits, links, edges, late5_day, urges, source_id, urgent, called_day"
    wrong: list[int] = []
    last = conn.execute(text("select coalesce(max(complaint_id), 0) from complaint")).scalar_one()
    for start in range(0, last + 1, CHUNK):
        wrong += conn.execute(text(f"""
            with ids as materialized (select array_agg(complaint_id) as ids from complaint where complaint_id between :a and :b
                                         and complaint_id not in (select complaint_id from rollup_dirty)),
                 look as materialized (select {fields} from ids, rollup_look(ids.ids, clock_timestamp())),
                 kept as materialized (select {fields} from rollup_fact where complaint_id between :a and :b
                                          and complaint_id not in (select complaint_id from rollup_dirty))
            select distinct complaint_id from ((table look except all table kept) union all (table kept except all table look)) x"""),
            {"a": start, "b": start + CHUNK - 1}).scalars()
        told(min(start + CHUNK, last), last)
    cells = 0
    for number, sums in _sums(_WHOLE):
        cells += conn.execute(text(f"""
            with new as (select grain, place, day, category_id, channel_id, restricted, rollup_trim(n) as n from ({sums.replace(":", chr(92) + ":")}) x),
                 old as (select grain, place, day, category_id, channel_id, restricted, rollup_trim(n) as n from rollup where line = {number})
            select count(*) from ((select * from new where n is not null except all select * from old where n is not null)
                                   union all (select * from old where n is not null except all select * from new where n is not null)) x""")).scalar_one()
    return sorted(wrong), cells
