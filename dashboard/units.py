"""What the page 「单位」 says: one unit beside its peers, and the units below it side by side.

Peers are the units below the same parent (what the parent has itself, and what lies beside the tree, among them, as on
the review), or where these are fewer than ``SIBLINGS`` all units that stand as deep. Of them the third with about as
many complaints due is the peer group (``signals.groups``): every indicator is judged within that one group, so that a
unit stands among the same names in every line.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

import pandas as pd

from dashboard import charts, data, links, listing, review, signals, tables, words
from dashboard.compared import here
from dashboard.context import Frame
from dashboard.evidence import listed, series
from dashboard.periods import Period
from dashboard.tables import Column
from dashboard.words import literal, t
from queries import complaints, figures, profile, units
from queries.figures import rate
from queries.indicators import CATALOGUE

LIST, HERE = "complaints", "units"
SECTIONS = {
    "time": ("compliance", "closed_on_time", "overdue_rate", "target_met", "days_done", "dispatch_on_time"),
    "work": ("first_handler_rate", "reply_complete", "reopen_rate", "redo_rate", "urge_acknowledged"),
    "customer": ("satisfaction", "reach_rate", "repeat_rate", "withdrawal_rate"),
}
RATES = tuple(code for codes in SECTIONS.values() for code in codes if CATALOGUE[code].num)
SHORT = ("compliance", "received", "satisfaction", "repeat_rate")  # of the table of units
DRAWN = ("compliance", "days_done", "dispatch_on_time", "reply_complete", "satisfaction", "repeat_rate")
SIBLINGS = 6  # fewer than these are no group to compare with
WEEKS = 12
WORST = 3


# -- figures of several units ---------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Units:
    """``counts``: index = unit id, ``<code>_num``, ``<code>_den``, overdue_open_den (at the end of the period, or now);
    ``days``: working days to done of each unit, as days -> complaints."""

    counts: pd.DataFrame
    days: Mapping[int, Mapping[int, int]]


def moment(f: Frame) -> datetime:
    """When stocks are read: at the end of the period, or now if it has not ended."""
    return min(f.span["end"], f.as_of)


def gather(f: Frame, codes: tuple[str, ...], ids: Sequence[int], parent: int | None, unit: int | None,
           by: str = "child") -> Units:
    """The figures of these units, which are below ``parent`` or (by="level") as deep as it; 0 where they have none."""
    where = f.where | {"unit": unit, "parent": parent}
    parts = [data.read(figures.counts, codes, by=by, **where),
             data.read(figures.counts, ("overdue_open",), by=by, as_of=moment(f), **where)]
    table = pd.concat([one[one.index.notna()] for one in parts], axis=1)
    spent: dict[int, dict[int, int]] = {}
    for row in data.read(profile.days, by=by, **where).itertuples():
        spent.setdefault(row.unit_id, {})[row.days] = row.n
    return Units(table.reindex(ids).fillna(0).astype("int64"), {one: spent.get(one, {}) for one in ids})


def together(some: Iterable[Units]) -> Units:
    """Several as one."""
    some = list(some)
    return Units(pd.concat([one.counts for one in some]),
                 {unit: days for one in some for unit, days in one.days.items()})


def below(f: Frame, codes: tuple[str, ...], parent: int | None) -> Units:
    """The units below one, what it has itself, and beside the root what nobody has placed; not those with nothing."""
    mine = [one.id for one in f.units.below.get(parent, []) if one.kind != "unmapped"]
    deeper = parent is not None and f.units[parent].parent is not None
    found = [gather(f, codes, mine + ([parent] if parent else []), parent, parent if deeper else None)]
    aside = [one.id for one in f.units.below[None] if one.kind == "unmapped"]
    if parent is not None and not deeper:
        found += [gather(f, codes, [one], None, one) for one in aside]
    found = together(found)
    kept = found.counts[(found.counts > 0).any(axis=1)]
    return Units(kept, {unit: found.days[unit] for unit in kept.index})


def subject(f: Frame) -> int | None:
    """The unit whose profile is asked for; None: the whole house, which has no peers and is shown unit by unit."""
    if f.filters.unit_id is not None or f.parent is None:
        return f.parent
    own = f.units[f.parent]
    return None if own.level == 0 and own.kind != "unmapped" else f.parent


def peers(f: Frame, unit: int) -> Units:
    """The unit and those it is compared with, as far as the viewer may see them."""
    codes, own = (*RATES, "received"), f.units[unit]
    siblings = [one for one in f.units.below.get(own.parent, []) if one.kind != "unmapped"] if own.parent else []
    if len(siblings) >= SIBLINGS and own.kind != "unmapped":
        found = below(f, codes, own.parent)
    else:
        deep = [one.id for one in f.units.deep[own.level] if one.kind != "unmapped"]
        many = len(deep) >= SIBLINGS and own.kind != "unmapped"
        found = gather(f, codes, deep, unit, None, "level") if many else gather(f, codes, [unit], own.above, unit)
    if unit not in found.counts.index:
        found = together([found, gather(f, codes, [unit], own.above, unit)])
    return found


# -- days to done ---------------------------------------------------------------------------------------------------

def trends(f: Frame, parent: int | None) -> dict[int, str]:
    """worsening, improving or "" by unit below one: each against its own last half year (``signals.rates``)."""
    days = signals.weeks(f.period.last)
    where = f.during(Period("custom", days[0], f.period.end))
    del where["unit"]
    table = data.read(units.weekly, "compliance", parent=parent, **where)
    return {unit: chart.trend() for unit, chart in series(table, days).items()}


def middle(days: Mapping[int, int]) -> float | None:
    """The median of working days, from days -> complaints; between two it lies half-way."""
    total, seen, low = sum(days.values()), 0, None
    for day, n in sorted(days.items()):
        seen += n
        if low is None and 2 * seen >= total:
            low = day
        if 2 * seen > total:
            return (low + day) / 2
    return None


def pooled(some: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """The days of several units together."""
    made: dict[int, int] = {}
    for days in some:
        for day, n in days.items():
            made[day] = made.get(day, 0) + n
    return made


# -- a unit within its group ----------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Line:
    """One indicator. ``value`` and ``group`` in %, or working days of days_done; rank is the best first (the highest
    first, where neither is better), ties share it; word: low, high, no_difference, small, or "" without peers."""

    code: str
    num: int
    den: int
    value: float | None
    group: float | None
    rank: int | None
    of: int
    word: str
    values: Mapping[int, float]  # of the units of the group with cases enough to be ranked

    @property
    def side(self) -> str:
        """better, worse or "": what a clear difference means."""
        sign = {"more": "high", "less": "low"}.get(CATALOGUE[self.code].better)
        return "" if sign is None or self.word not in ("low", "high") else "better" if self.word == sign else "worse"


@dataclass(frozen=True)
class Profile:
    unit: int
    size: str  # large, middle, small or all
    members: int
    lines: Mapping[str, Line]
    overdue: int
    overdue_group: float | None  # the median of the group

    @property
    def alone(self) -> bool:
        return self.members < 2


def profiled(f: Frame, unit: int) -> Profile:
    """The unit within its group, read."""
    return judge(peers(f, unit), unit)


def overview(f: Frame) -> tuple[Units, pd.DataFrame]:
    """The units below the stated one, and the same ``compared``."""
    some = below(f, SHORT, f.parent)
    return some, compared(some, trends(f, f.parent))


def judge(all_: Units, unit: int) -> Profile:
    """A unit within its group: of about as many complaints due."""
    places = signals.groups(all_.counts.compliance_den.tolist())
    at = list(all_.counts.index).index(unit)
    group = all_.counts[[place == places[at] for place in places]]
    days = {one: all_.days[one] for one in group.index}
    num, den = all_.counts.compliance_num.tolist(), all_.counts.compliance_den.tolist()
    size = signals.funnel(num, den, places=places).size(at)
    lines = {code: _days(days, unit) if code == "days_done" else _rate(code, group, unit)
             for codes in SECTIONS.values() for code in codes}
    late = group.overdue_open_den
    return Profile(unit, size, len(group), lines, int(late[unit]), float(median(late)) if len(group) > 1 else None)


def _rate(code: str, group: pd.DataFrame, unit: int) -> Line:
    num, den = group[f"{code}_num"].tolist(), group[f"{code}_den"].tolist()
    better = "less" if CATALOGUE[code].better == "less" else "more"
    found = signals.funnel(num, den, better, places=[0] * len(num))
    i, alone = list(group.index).index(unit), len(num) < 2
    return Line(code, num[i], den[i], rate(num[i], den[i]), None if alone else found.groups[0].rate,
                None if alone else found.ranks[i], found.of(i), "" if alone else found.words[i],
                {one: rate(n, d) for one, n, d in zip(group.index, num, den) if d >= signals.FEW})


def _days(days: Mapping[int, Mapping[int, int]], unit: int) -> Line:
    """Days to done: the word is of the share done within the group's median, so that a long tail does not decide."""
    whole = middle(pooled(days.values()))  # None only where no unit has any
    den = {one: sum(mine.values()) for one, mine in days.items()}
    within = {one: sum(n for day, n in mine.items() if day <= whole) for one, mine in days.items()}
    found = signals.funnel(list(within.values()), list(den.values()), places=[0] * len(den))
    values = {one: middle(mine) for one, mine in days.items() if den[one] >= signals.FEW}
    i, alone = list(days).index(unit), len(days) < 2
    place = None if alone or unit not in values else sum(value < values[unit] for value in values.values()) + 1
    word = {"low": "high", "high": "low"}.get(found.words[i], found.words[i])  # fewer within the median: longer days
    return Line("days_done", within[unit], den[unit], middle(days[unit]), None if alone else whole, place, len(values),
                "" if alone else word, values)


# -- words ----------------------------------------------------------------------------------------------------------

def figure(line: Line) -> str:
    """94.4%（34/36）, 2.0个工作日（36件）, or —."""
    if line.value is None:
        return t("unit.none")
    if line.code == "days_done":
        return t("units.days_of", x=words.number(line.value, 1), n=line.den)
    return words.fraction(line.num, line.den)


def amount(code: str, value: float | None) -> str:
    """94.4%, 2.0个工作日, or —."""
    if value is None:
        return t("unit.none")
    return t("units.days", x=words.number(value, 1)) if code == "days_done" else f"{words.number(value, 1)}%"


def verdict(line: Line) -> str:
    """**明显偏低**, worse than its group. Markdown."""
    if not line.word:
        return t("unit.none")
    if line.word in ("no_difference", "small"):
        return f":gray[{t(f'review.{line.word}')}]"
    word = t(f"units.long_{line.word}" if line.code == "days_done" else f"review.{line.word}")
    return f"**{word}**" + (f" :small[:gray[{t(f'units.{line.side}')}]]" if line.side else "")


def position(line: Line) -> str:
    """第5/12."""
    return t("unit.none") if line.rank is None else t("units.position", n=line.rank, of=line.of)


def name(f: Frame, unit: int, parent: int | None) -> str:
    """A unit below, or what the stated unit has itself."""
    return t("review.own", unit=f.unit_name(unit)) if unit == parent else f.unit_name(unit)


def title(f: Frame, unit: int | None) -> str:
    """宁波分行 对照 2026年3月1日—3月31日."""
    head = t("units.overview") if unit is None else t("units.profile", unit=literal(f.unit_name(unit, whole=True)))
    return t("review.heading", title=head, span=words.span(f.period.start, f.period.last))


def finding(one: Profile, unit: str, period: Period, ended: bool, trend: str = "") -> tuple[str, str]:
    """上月宁波分行按时办结率77.4%（24/31），同组（中组，12家）92.1%，明显偏低；期末逾期未办结9件，同组中位2件；满意率…

    trend: worsening, improving or "" (``signals.Rates.trend``)."""
    kept, content = one.lines["compliance"], one.lines["satisfaction"]
    said = {"period": here(period), "unit": literal(unit), "rate": amount("compliance", kept.value), "num": kept.num,
            "den": kept.den}
    if kept.value is None:
        first = t("units.finding_nothing", **said)
    elif one.alone:
        first = t("units.finding_alone", **said)
    else:
        word = t("units.few") if kept.word == "small" else t(f"review.{kept.word}")
        first = t("units.finding", **said, size=t(f"units.size_{one.size}"), n=one.members,
                  group=amount("compliance", kept.group), word=f"**{word}**" if kept.side else word)
    first += t("units.trend", word=t(f"signals.{trend}")) if trend else ""
    when = "_end" if ended else ""
    second = [t(f"units.overdue{when}" if one.overdue else f"units.overdue_none{when}", n=one.overdue)]
    if one.overdue_group is not None:
        second[0] += t("units.overdue_group", x=words.number(one.overdue_group, one.overdue_group % 1 > 0))
    if content.value is not None:
        second += [t("units.satisfied", rate=amount("satisfaction", content.value), num=content.num, den=content.den)]
        second[1] += "" if content.group is None else t("units.group", group=amount("satisfaction", content.group))
    return begun(first) + t("review.semicolon"), t("review.semicolon").join(second) + t("review.stop")


def overview_sentence(table: pd.DataFrame, names: Mapping[int, str]) -> str:
    """宁波分行按时办结率明显低于同组；逾期未办结最多的是宁波分行，9件；3家单位样本不足，仅列示。 table: of ``compared``."""
    parts = [t(f"units.clearly_{word}", unit=listed(units_, names.get)) for word in ("low", "high")
             if (units_ := table.index[table.word == word].tolist())] or [t("units.clearly_nobody")]
    most = int(table.overdue_open_den.max())
    for trend in ("worsening", "improving"):
        if some := table.index[table.trend == trend].tolist():
            parts.append(t(f"signals.{trend}_units", unit=listed(some, names.get)))
    if most:
        first = table.index[table.overdue_open_den == most].tolist()
        parts.append(t("units.most_overdue", unit=listed(first, names.get), n=most))
    if small := int(((table.word == "small") & (table.compliance_den > 0)).sum()):
        parts.append(t("review.attention_small", n=small))
    return begun(t("review.semicolon").join(parts)) + t("review.stop")


def begun(text: str) -> str:
    """The text as a sentence begins: with a capital, where the language has them."""
    return text[:1].upper() + text[1:]


# -- drawn ----------------------------------------------------------------------------------------------------------

def weekly(f: Frame, unit: int) -> pd.DataFrame:
    """Due, in time and received of a unit over the last half year: index = Monday as text, one row a week."""
    days = signals.weeks(f.period.last)
    window = f.where | f.window(Period("custom", days[0], f.period.end)) | {"unit": unit}
    table = data.read(figures.counts, ("compliance", "received"), by="week", **window)
    return table.reindex([str(day) for day in days], fill_value=0)


def trend(table: pd.DataFrame) -> str:
    """worsening, improving or "" of ``weekly``."""
    return signals.rates(list(zip(table.compliance_num, table.compliance_den))).trend()


def cards(f: Frame, unit: int, one: Profile, table: pd.DataFrame, phone: bool) -> None:
    """按时办结率, 逾期未办结, 受理, 满意率 against the period before, two of them with their last weeks (of ``weekly``)."""
    where, codes, table = {"unit": unit}, ("compliance", "received", "satisfaction"), table.tail(WEEKS)
    now, old = (data.read(figures.counts, codes, **asked | where).loc["all"] for asked in (f.where, f.before))
    then = min(f.before["end"], f.as_of)
    late = int(data.read(figures.counts, ("overdue_open",), as_of=then, **f.before | where).iloc[0, 0])
    rates = [rate(num, den) for num, den in zip(table.compliance_num, table.compliance_den)]
    pair = lambda table, code: (int(table[f"{code}_num"]), int(table[f"{code}_den"]))
    shown = (("compliance", "rate", pair(now, "compliance"), pair(old, "compliance"), rates, {}),
             ("overdue_open", "overdue", one.overdue, late, (), {"at": moment(f)}),
             ("received", "received", int(now.received_den), int(old.received_den), table.received_den.tolist(), {}),
             ("satisfaction", "rate", pair(now, "satisfaction"), pair(old, "satisfaction"), (), {}))
    with links.cards(4):
        for code, kind, n, before, trend, more in shown:
            written = review.card(kind, n, before, f.period, moment(f) < f.as_of, phone)
            if kind == "rate" and not n[1] and code == "satisfaction":
                written["value"] = t("units.nobody_reached")
            links.figure_card(listing.name(code), trend=() if phone else trend, to=LIST,
                              params=f.link(unit=unit, code=code, **more), **written)


def lines(f: Frame, one: Profile, phone: bool) -> None:
    """Every indicator: the unit, its group, its position, the word; each figure opens its rows."""
    for section, codes in SECTIONS.items():
        links.section(t(f"units.section_{section}"), t(f"units.basis_{section}"))
        heads = [(t("units.col_indicator"), None, "left"), (t("units.col_unit"), 146 if phone else 150, "right")]
        if not one.alone and not phone:
            heads += [(t("units.col_group"), 96, "right"), (t("units.col_position"), 76, "right")]
        heads += [] if one.alone else [(t("units.col_word"), 84 if phone else 146, "right" if phone else "left")]
        rows = []
        for line in (one.lines[code] for code in codes):
            cells = [(literal(listing.name(line.code)), None),
                     (figure(line), f.link(unit=one.unit, code=line.code) if line.den else None)]
            if not one.alone and not phone:
                cells += [(f":gray[{amount(line.code, line.group)}]", None), (position(line), None)]
            cells += [] if one.alone else [(verdict(line).split(" :small")[0] if phone else verdict(line), None)]
            rows.append(cells)
        links.linked_table(heads, rows, LIST)


def positions(f: Frame, one: Profile, phone: bool = False) -> tuple[dict, str]:
    """The unit among its group in the main indicators, and the same in words."""
    rows, told = [], []
    for line in (one.lines[code] for code in DRAWN):
        if line.rank is None or line.of < 3:
            continue
        code, flip = line.code, CATALOGUE[line.code].better == "less"
        values = list(line.values.values())
        rows.append({"label": listing.name(code), "values": values, "keys": list(line.values), "own": one.unit,
                     "flip": flip, "group": line.group, "text": f"{amount(code, line.value)}　{position(line)}",
                     "ends": [amount(code, end) for end in (min(values), max(values))],
                     "hover": [f"{charts.plain(f.unit_name(unit))} {amount(code, value)}" for unit, value in line.values.items()]})
        told.append(f"{listing.name(code)} {position(line)}")
    said = {"empty": t("units.chart_empty"), "group": t("units.chart_group"), "worse": t("units.worse_side"),
            "better": t("units.better_side")}
    alt = t("units.chart_alt", unit=f.unit_name(one.unit), said=t("unit.comma").join(told))
    return charts.positions(rows, said, phone=phone), alt if told else said["empty"]


def compared(some: Units, trends: Mapping[int, str]) -> pd.DataFrame:
    """Counts of several units with word, size, rank and of (by compliance within their groups) and trend; most overdue
    first."""
    table = some.counts
    found = signals.funnel(table.compliance_num.tolist(), table.compliance_den.tolist())
    places = range(len(table))
    table = table.assign(word=found.words, size=[found.size(i) for i in places], rank=pd.array(found.ranks, "Int64"),
                         of=[found.of(i) for i in places], trend=[trends.get(unit, "") for unit in table.index])
    return table.sort_values(["overdue_open_den", "compliance_den", "received_den"], ascending=False, kind="stable")


def side_by_side(f: Frame, some: Units, table: pd.DataFrame, parent: int | None,
                 phone: bool) -> tuple[pd.DataFrame, dict[str, Column]]:
    """The table of units for ``tables.doors``: every figure opens its list, the name the unit's profile."""
    outlets = data.derived(data.read, profile.outlets, key=profile.outlets.__name__, rows=False, since=data.read(units.version))
    ids = table.index.tolist()

    def to(code: str, **more):
        def address(row: int):
            unit = ids[row]
            return f.link(unit=unit, code=code, **more) if unit != parent and table.at[unit, f"{code}_den"] else None
        return address

    def pair(code: str) -> list[str]:
        both = zip(table[f"{code}_num"], table[f"{code}_den"])
        return tables.sortable([words.fraction(num, den) if den else t("unit.none") for num, den in both])

    def number(value: float | None, digits: int = 0) -> str:
        return t("unit.none") if value is None else words.number(value, digits)

    def per_thousand(unit: int, n: int) -> float | None:
        return 1000 * n / outlets[unit] if outlets.get(unit, 0) > 1 and unit != parent else None

    def standing(word: str, trend: str) -> str:
        return t(f"review.{word}") + (t("complaints.joint") + t(f"signals.{trend}") if trend else "")

    def place(size: str, n: object, of: int) -> str:
        return t(f"units.size_{size}") if pd.isna(n) else t("signals.rank", size=t(f"units.size_{size}"), n=n, of=of)

    spent = {unit: middle(some.days[unit]) for unit in ids}
    table = table.assign(days_done_den=[sum(some.days[unit].values()) for unit in ids])
    shown = pd.DataFrame({
        "unit": [tables.cut(name(f, unit, parent), 8) for unit in ids],
        "group": [place(*one) for one in zip(table["size"], table["rank"], table["of"])],
        "word": [standing(*one) for one in zip(table.word, table.trend)],
        "compliance": pair("compliance"),
        "overdue": tables.sortable([number(n) for n in table.overdue_open_den]),
        "received": tables.sortable([number(n) for n in table.received_den]),
        "density": tables.sortable([number(per_thousand(*one)) for one in zip(ids, table.received_den)]),
        "days": tables.sortable([number(spent[unit], 1) for unit in ids]),
        "satisfaction": pair("satisfaction"),
        "repeats": pair("repeat_rate"),
    })
    columns = {
        "unit": Column(t("review.col_unit"), "door", 132, HERE,
                       lambda row: f.link(at=None, unit=ids[row]) if ids[row] != parent else None),
        "group": Column(t("units.col_rank"), px=92, help=t("units.rank_help")),
        "word": Column(t("review.col_peers"), px=166, help=t("units.word_help")),
        "compliance": Column(listing.name("compliance"), "door", 138, address=to("compliance"),
                             help=formula("compliance")),
        "overdue": Column(t("review.col_overdue"), "door", 84, address=to("overdue_open", at=moment(f))),
        "received": Column(listing.name("received"), "door", 72, address=to("received")),
        "density": Column(t("units.col_density"), "door", 104, address=to("received"), help=t("units.density_help")),
        "days": Column(t("units.col_days"), "door", 108, address=to("days_done"), help=t("units.days_help")),
        "satisfaction": Column(listing.name("satisfaction"), "door", 132, address=to("satisfaction"),
                               help=formula("satisfaction")),
        "repeats": Column(listing.name("repeat_rate"), "door", 132, address=to("repeat_rate"),
                          help=formula("repeat_rate")),
    }
    if (shown["density"] == t("unit.none")).all():
        del columns["density"]
    kept = ("unit", "compliance", "overdue") if phone else tuple(columns)
    return shown[list(kept)], {key: columns[key] for key in kept}


def formula(code: str) -> str:
    """The formula of an indicator in words."""
    return listing.formula(listing.Asked(code))


def contacts(unit: int) -> list[tuple[str, str, str]]:
    """(which contact, name, telephone as Markdown): first, second, responsible leader (article 20)."""
    rows = data.read(complaints.contacts, unit)
    return [(t(f"units.contact_{row.rank}"), row.name, tables.telephone(row.phone or "")) for row in rows.itertuples()]


def worst(f: Frame, unit: int) -> list[tuple[str, dict[str, str]]]:
    """The categories with most complaints not in time, and the ways to them."""
    table = data.read(figures.counts, ("compliance",), by="category_id", **f.where | {"unit": unit})
    late = (table.compliance_den - table.compliance_num).sort_values(ascending=False, kind="stable")
    return [(t("units.late_in", category=literal(f.category(one)), n=int(n)),
             f.link(unit=unit, category=int(one), code="compliance", part="rest"))
            for one, n in late[late > 0].head(WORST).items()]


def ways(f: Frame, unit: int) -> tuple[list, list]:
    """(to the page of overdue complaints, to the lists): what is late, due soon and open now, by responsible unit."""
    n = data.read(figures.counts, ("overdue_list", "due_soon_list", "backlog"), **f.where | {"unit": unit}).loc["all"]
    late = [(t("units.to_overdue"), f.link(at=None, unit=unit))]
    return late, [(t(f"units.open_{code}", n=int(n[f"{code}_den"])), f.link(unit=unit, code=code))
                  for code in ("overdue_list", "due_soon_list", "backlog") if n[f"{code}_den"]]
