"""The bench's complaints as SQL: one statement that plans a range of complaints (table `gen`), one insert for each table that has rows of them.

The same family as the demo bank (queries/demo/cases.py, from which shares, delays and words are taken), made in sets: a chance is a hash of the
complaint's id, so that a seed gives the same rows on any number of connections. Thinner than the demo: of the history, `received`, `hop_sent`, `done` and what
cuts a span are kept for every complaint, everything else for open complaints and one in ten; a repeat takes its category, person and unit from the
earlier complaint, whether or not that one was done; leaders write on major cases only; contests are never upheld; one account's unit contact is the first. Other than in
the demo, half of the late ones wait for months, so that 1.6 % are open.
"""
import re
from datetime import date, timedelta
from itertools import accumulate
from math import pi, sin
from random import Random

from benchmarks import words
from queries.demo import cases, names, texts

WORK, OPENS, DAY = cases.WORK, cases.OPENS, cases.DAY
MONTHS_DAYS = 1096                                  # 36 months
ZONE_OFFSET = 8 * 3600
SLOTS = 1 << 18                                     # how finely the weights of units are cut
DEPARTMENT_SLOTS = 1024
CATEGORIES = list(cases.MIX)
CAT = {code: i for i, code in enumerate(CATEGORIES, 1)}
CHANNEL = {code: i for i, code in enumerate(cases.CHANNELS, 1)}


# Small tables in schema `bench`, made once.

def days_of(calendar: list[tuple[date, bool, int]], cut: date, n: int) -> tuple[list[tuple], list[int]]:
    """([day, epoch of local midnight, ordinal, working, first, last, burst share], opens): the complaints of each day, by the demo's
    seasons; `opens` is the epoch at which each working day opens, by ordinal from 1."""
    days = cases.Days(calendar)
    base = calendar[0][2] - 1
    last = (cut - date(1970, 1, 1)).days
    every = range(last - MONTHS_DAYS, last)
    weights = []
    for i, d in enumerate(every):
        day = date(1970, 1, 1) + timedelta(d)
        weight = 1.0 if days.is_working(d) else 0.36
        weight *= 1 + 0.10 * (day.weekday() == 0) - 0.04 * (day.weekday() == 4)
        weight *= 1 + 0.06 * sin(2 * pi * (day.timetuple().tm_yday - 60) / 365)
        weight *= 1.18 if (day.month, day.day) >= (11, 9) and (day.month, day.day) <= (11, 20) else 1
        weights.append(weight * (0.92 + 0.16 * i / MONTHS_DAYS))
    burst_from = last - cases.BURST_WEEKS_AGO * 7 - 2
    total, rows, first = sum(weights), [], 1
    for i, (d, upto) in enumerate(zip(every, accumulate(weights))):
        until = round(n * upto / total)
        age = d - burst_from
        burst = 0.75 * 0.8 ** age if 0 <= age < cases.BURST_DAYS else 0.0
        day = date(1970, 1, 1) + timedelta(d)
        rows.append((day, d * DAY - ZONE_OFFSET, days.ordinals[d - days.first] - base, days.is_working(d), first, until, burst))
        first = until + 1
    opens = [days.day[o] * DAY - ZONE_OFFSET + OPENS for o in sorted(days.day)]
    return [row for row in rows if row[5] >= row[4]], opens


def slots_of(tree, ids: list[int], rng: Random) -> list[tuple]:
    """(slot, about, level 1, level 2, outlet, an outlet, kind, short name, name, contact, telephone, six departments of the branch): who is complained about."""
    branch, second = {}, {}
    for unit in tree:
        above = unit.above
        branch[unit.place] = unit.place if unit.kind in ("branch1", "overseas") else branch.get(above)
        second[unit.place] = unit.place if unit.kind == "branch2" else second.get(above)
    outlets = [u for u in tree if u.kind == "outlet"]
    weighted = [u for u in tree if u.weight and not (u.above == 0 and u.kind == "department")]
    sums = list(accumulate(u.weight for u in weighted))
    rows, at = [], 0

    def row(slot, u):
        home = branch[u.place]
        home = None if home is None or tree[home].kind == "overseas" else home
        below = u.place if u.kind == "outlet" else rng.choice(outlets).place
        departments = [ids[c] for c in tree[home].children[:6]] if home is not None else [None] * 6
        return (slot, ids[u.place], ids[branch[u.place]] if branch[u.place] is not None else ids[u.place],
                ids[second[u.place]] if u.kind in ("outlet", "branch2") else None, ids[u.place] if u.kind == "outlet" else None, ids[below],
                u.kind, tree[home].short if home is not None else u.short, u.name, u.contacts[0][0], u.contacts[0][1], *departments)

    for slot in range(SLOTS):
        while sums[at] < (slot + 0.5) * sums[-1] / SLOTS and at < len(weighted) - 1:
            at += 1
        rows.append(row(slot, weighted[at]))
    departments = [u for u in tree if u.above == 0 and u.kind == "department" and u.weight]
    for category, fits in FITS.items():
        shares = list(accumulate(u.weight * (1.6 if u.name == cases.E_BANK and category == "service_channel" else 1) for u in departments))
        at = 0
        for i in range(DEPARTMENT_SLOTS):
            while shares[at] < (i + 0.5) * shares[-1] / DEPARTMENT_SLOTS and at < len(departments) - 1:
                at += 1
            rows.append(row(SLOTS + CAT[category] * DEPARTMENT_SLOTS + i, departments[at]))
    return rows


FITS = {"service_product": 1.7, "service_channel": 1.1, "violation": 0.8, "service_attitude": 0.3, "work_error": 0.5}


def department_shares(tree) -> list[float]:
    """By category: how often a head-office department is complained about."""
    heads = sum(u.weight for u in tree if u.above == 0 and u.kind == "department")
    rest = sum(u.weight for u in tree if not (u.above == 0 and u.kind == "department"))
    return [heads * FITS.get(c, 0) / (heads * FITS.get(c, 0) + rest) for c in CATEGORIES]


def matters() -> list[tuple]:
    """(category, i, title, format, demand, asks for an amount); burst is category 9."""
    pools = {c: [line.split("|") for line in block.strip().splitlines()] for c, block in texts.MATTERS.items()}
    rows = []
    for number, pool in [*((CAT[c], pool) for c, pool in pools.items()), (9, texts.BURST)]:
        for i, (title, text, demand) in enumerate(pool):
            form = text.replace("%", "%%")
            for k, name in enumerate(("day", "amount", "place", "app", "staff", "minutes"), 1):
                form = form.replace("{" + name + "}", f"%{k}$s")
            rows.append((number, i, title, form, demand.replace("{amount}元", "损失"), "{amount}" in text))
    return rows


def people(rng: Random, n: int = 16384) -> list[tuple[int, str]]:
    return [(i, rng.choice(names.SURNAMES) + rng.choice(names.GIVEN)) for i in range(n)]


# SQL

# What the inserts read of `gen`.
KEPT = set("""id sid day day0 ord serial cat chan burst about accepting source_unit n_way u1 u2 u3 s1 s2 s3 g1 g2 g3 m1_at m2_at m3_at m_other last_unit recat_at recat_new recat_to
              was_back first_at back_at holder customer office closed filed ended excluded exclusion withdrawn verified why voluntary stops again merged at late lim end_w end_at x_first
              anonymous handler_i person_i name_i phone8 x_id x_card place contact unit_phone""".split())


# Those whose spans are made in one set; source's own limit: see `complaint`.
PLAIN = f"plain_x and not redone and not (chan = {CHANNEL['government']} and x_gap < 0.3)"


def _floats(values) -> str:
    return "'{" + ",".join(f"{v:.6f}" for v in values) + "}'::float8[]"


def _texts(values) -> str:
    return "array[" + ",".join("'" + v.replace("'", "''") + "'" for v in values) + "]::text[]"


def _cum(shares) -> str:
    """Thresholds for width_bucket: 0-based choice by shares."""
    total = sum(shares)
    return _floats([x / total for x in accumulate(shares)][:-1])


class Plan:
    """The statements for one bank. `moment`s are whole seconds since 1970 until they are inserted."""

    def __init__(self, *, seed: int, n: int, cut: int, opens: list[int], head: dict[str, int], categories: dict[str, int], channels: dict[str, int], shares: list[float],
                 source: int, calendar: int, policy: int, user: int, user_name: str, unmapped: int):
        self.seed, self.n, self.cut, self.head, self.shares = seed, n, cut, head, shares
        self.opens = "'{" + ",".join(map(str, opens)) + "}'::int8[]"
        self.categories = "'{" + ",".join(str(categories[c]) for c in CATEGORIES) + "}'::int2[]"
        self.channels = "'{" + ",".join(str(channels[c]) for c in cases.CHANNELS) + "}'::int2[]"
        self.source, self.calendar, self.policy, self.user, self.user_name, self.unmapped = source, calendar, policy, user, user_name, unmapped
        self.number = 0

    def r(self, of: str = "id") -> str:
        """A number from 0 up to 1, another one at each call."""
        self.number += 1
        return f"((hashint8extended({of}, {self.seed * 1000 + self.number}) & 1073741823) / 1073741824.0::float8)"

    def exp(self, mean: str) -> str:
        return f"(-ln(1 - {self.r()}) * {mean})"

    def at(self, w: str) -> str:
        """The moment of a place on the axis of working time."""
        return f"(({self.opens})[floor({w} / {WORK})::int + 1] + ({w} - {WORK} * floor({w} / {WORK}))::int8)"

    def pick(self, values, of: str = "id") -> str:
        return f"({_texts(values)})[floor({len(values)} * {self.r(of)})::int + 1]"

    def gen(self) -> str:
        """Plans the complaints %(a)s to %(b)s. Each layer is a level of sub-selects; `offset 0` keeps its values from being computed again above."""
        self.number = 0
        r, at, exp, c, k, head, W, cut = self.r, self.at, self.exp, CAT, CHANNEL, self.head, WORK, self.cut
        per_day, month = self.n / MONTHS_DAYS, self.n * 30 / MONTHS_DAYS
        chan_shares = "case cat " + " ".join(f"when {i} then {_cum(cases.MIX[code][1])}" for code, i in c.items()) + " end"
        simple = f"({c['service_attitude']}, {c['internal_management']}, {c['work_error']})"
        unlimited = f"({c['anonymous']}, {c['financial_crime']})"

        def other() -> str:
            return f"case when cat in {simple} then case when {r()} < 0.5 then {c['service_product']} else {c['violation']} end " \
                   f"else case when {r()} < 0.5 then {c['work_error']} else {c['service_attitude']} end end"

        def told(moment: str) -> str:
            return f"case when {moment} < {cut} then {moment} end"

        crime, nameless, worse = c["financial_crime"], c["anonymous"], f"'{cases.WORSE}'"
        phone, web, letter = k["phone"], k["web"], k["letter"]
        asked = "(case why when 'withdrawn' then mid else late_mid end)"
        weeks = f"(({cut} - due) / {DAY * 7}.0)"
        layers = [
            # what, about whom, by which channel; some complain again, of the same
            f"{r()} < burst_share as burst, case when {r()} < 0.034 and id > gap then id - gap else id end as sid_x",
            "case when burst then id else sid_x end as sid_y",
            f"case when burst then {c['service_channel']} else width_bucket({r('sid_y')}, {_cum([sum(s) for _, s in cases.MIX.values()])}) + 1 end as cat,"
            f" {r('sid_y')} as slot_x, {r('sid_y')} as slot_y",
            f"case when cat in {unlimited} then id else sid_y end as sid,"
            f" case when burst then case when {r()} < 0.66 then 1 else 2 end else width_bucket({r()}, {chan_shares}) + 1 end as chan,"
            f" {r()} < 0.0004 as stray, case when slot_x < ({_floats(self.shares)})[cat] then {SLOTS} + cat * {DEPARTMENT_SLOTS} + floor(slot_y * {DEPARTMENT_SLOTS})::int"
            f" else floor(slot_y * {SLOTS})::int end as slot",
            f"s.kind = 'outlet' as of_outlet, s.home, s.name as place, s.contact, s.phone as unit_phone, s.level1, s.level2, s.dep1, s.dep2, s.dep3, s.dep4, s.dep5, s.dep6,"
            f" case when stray then {self.unmapped} when chan = {k['comment_book']} then s.an_outlet else s.about end as about, {r()} as x_phone,"
            f" sid <> id and gap < {int(12 * per_day)} and id % 5 < 2 as merged, sid <> id and gap >= {int(12 * per_day)} as again,"
            f" day0 + case when chan <= 2 then h * 3600 + floor(3600 * {r()})::int"
            f" else width_bucket({r()}, {_cum(cases.OFFICE_HOURS)}) * 3600 + floor(3600 * {r()})::int end as at",
            f"case when stray then {self.unmapped} when chan = {k['comment_book']} then about"
            f" when chan = {k['web']} or chan = {k['phone']} and (dep3 is null or x_phone < 0.85) then {head['客户服务中心（95580）']}"
            f" when chan = {k['phone']} then dep3"
            f" when chan = {k['media']} then case when x_phone < 0.7 then coalesce(dep2, {head['行长办公室']}) else {head['行长办公室']} end"
            f" when chan = {k['superior']} or dep1 is null then {head['工会工委']}"
            f" when chan = {k['government']} then case when x_phone < 0.5 then dep1 when x_phone < 0.75 then dep3 else {head['工会工委']} end"
            f" else case when x_phone < 0.7 then dep1 else {head['工会工委']} end end as accepting, {r()} < 0.3 and of_outlet as one_up",
            f"case when cat = {c['financial_crime']} then array[coalesce(dep6, {head['监察部']})] when chan = {k['comment_book']} or stray then '{{}}'::int[]"
            f" else array_remove(array_remove(array[case when accepting in (dep1, dep2, dep3) and about <> level1 then null else level1 end,"
            f" case when about <> level1 then level2 end, case when not one_up and about <> level1 and about is distinct from level2 then about end], null), accepting) end as way,"
            f" case when cat in {unlimited} or sid <> id or burst or {r()} >= 0.02 then null else {other()} end as recat_to",
            # the plan: the day of the answer, in working days from receipt
            f"case when coalesce(recat_to, cat) in {unlimited} then null when coalesce(recat_to, cat) in {simple} then 3 else 10 end as lim,"
            f" cardinality(way) as n_way, way[1] as u1, way[2] as u2, way[3] as u3, case when cardinality(way) > 0 then accepting end as source_unit,"
            f" case when working then (ord - 1) * {W}::float8 + least(greatest(at - day0 - {OPENS}, 0), {W}) else ord * {W}::float8 end as received_w,"
            f" {r()} as x_late, {r()} as end_y, {r()} as draw, {r()} < 0.0008 and chan <> {k['comment_book']} as dirt",
            f"({self.opens})[ord + lim] - {OPENS} + {DAY - 1} as due",
            f"lim is not null and x_late < case home when '{cases.WORSE}' then 0.03 + 0.24 * greatest(0.0, 1 - greatest({weeks}, 0) / 10)"
            f" when '{cases.BETTER}' then case when {weeks} < 40 then 0.02 + 0.22 * least(greatest({weeks}, 0) / 14, 1) else 0.06 end else 0.075 end as late",
            f"case when lim is null then 3 + least(floor({exp(f'(case when cat = {crime} then 24 else 9 end)')})::int, 90)"
            f" when late then lim + 1 + least(floor({exp(f'(case when {r()} < 0.55 then 150.0 when home = {worse} then 8.0 else 4.6 end)')})::int, 300)"
            f" else greatest(case when lim = 3 then width_bucket({r()}, {_cum((10, 34, 34, 22))}) else 1 + width_bucket({r()}, {_cum((4, 7, 9, 11, 13, 14, 13, 11, 9, 9))}) end,"
            f" case when recat_to is null then 0 else 2 end) end as days, case when late and recat_to is null and {r()} < 0.01 then {other()} end as keep_to,"
            f" case when late and {r()} < 0.3 then {r()} * lim * 0.6 * {W} else 0 end as gap_last",
            f"(ord + days - 1 + 0.1 + 0.88 * end_y) * {W} as end_x",
            f"case when end_x < received_w + 3000 then (ord + 0.1 + 0.88 * end_y) * {W} else end_x end as end_w",
            # down the chain
            f"case when n_way > 0 then 600 + {exp(f'(case chan when {phone} then {0.05 * W} when {web} then {0.45 * W} when {letter} then {0.6 * W} else {0.2 * W} end)')}"
            f" + case when chan = {k['web']} and {r()} < 0.03 then {2 * W} else 0 end + case when n_way = 1 then gap_last else 0 end end as gap1,"
            f" case when n_way > 1 then 900 + {exp(str(0.22 * W))} + case when n_way = 2 then gap_last else 0 end end as gap2,"
            f" case when n_way > 2 then 900 + {exp(str(0.22 * W))} + gap_last end as gap3",
            "least(1.0, 0.55 * greatest(end_w - received_w, 600) / nullif(gap1 + coalesce(gap2, 0) + coalesce(gap3, 0), 0)) as squeeze",
            "received_w + gap1 * squeeze as w1, received_w + (gap1 + gap2) * squeeze as w2, received_w + (gap1 + gap2 + gap3) * squeeze as w3",
            f"coalesce(w3, w2, w1, received_w) as last_w, coalesce(u3, u2, u1) as last_unit, {at('end_w')} as end_at,"
            f" case when n_way > 0 then greatest({at('w1')}, at + 60) end as s1, case when n_way > 1 then greatest({at('w2')}, at + 61) end as s2, case when n_way > 2 then greatest({at('w3')}, at + 62) end as s3,"
            f" case floor(5 * {r()})::int when 0 then dep4 when 1 then dep5 when 2 then level1 when 3 then coalesce(level2, dep1) else {head['个人金融部']} end as m_other, {r()} as m_x, {r()} as m_often",
            f"last_w + (0.15 + 0.5 * {r()}) * (end_w - last_w) as m1_w, last_w + (0.2 + 0.6 * {r()}) * greatest(end_w - last_w, 600) as mid_w,"
            f" w1 + (coalesce(w2, end_w) - w1) * least(0.9, {exp('0.167')}) as sign1_w, w2 + (coalesce(w3, end_w) - w2) * least(0.9, {exp('0.167')}) as sign2_w,"
            f" w3 + (end_w - w3) * least(0.9, {exp('0.167')}) as sign3_w,"
            f" coalesce(n_way > 0 and m_x < 0.04 and end_w - last_w > 0.4 * {W} and m_other not in (last_unit, accepting) and cat <> {c['financial_crime']} and not stray, false) as move_ok",
            f"{at('mid_w')} as mid, case when move_ok then {at('m1_w')} end as m1, case when move_ok and m_often < 0.14 then {at('((m1_w + end_w) / 2)')} end as m2,"
            f" case when move_ok and m_often < 0.056 then {at('((m1_w + 3 * end_w) / 4)')} end as m3, mid_w + (0.2 + 2.6 * {r()}) * {W} as verify_w,"
            f" case when late then due + 3600 + (0.6 * (end_at - due))::int8 end as late_mid,"
            f" case when recat_to is not null then greatest({at(f'(received_w + least({0.7 * W}, 0.5 * (end_w - received_w)))')}, at + 120)"
            f" when keep_to is not null then due + 1 + (0.5 * (end_at - due))::int8 end as recat_plan,"
            f" greatest({at('sign1_w')}, s1 + 60) as g1, greatest({at('sign2_w')}, s2 + 60) as g2, greatest({at('sign3_w')}, s3 + 60) as g3,"
            f" {at('(last_w + 0.4 * (end_w - last_w))')} as first_end, {at('(last_w + 0.6 * (end_w - last_w))')} as back, {r()} as x_back,"
            f" greatest({at(f'(received_w + 600 + {0.5 * W} * {r()})')}, at + 300) as merge_at, {at(f'(end_w + (0.5 + 4 * {r()}) * {W})')} as filed_plan,"
            f" greatest(last_w, end_w - case when late and {r()} < 0.25 then {3 * W} else {exp(str(0.25 * W))} end) as gap_w, {r()} as x_first, {r()} >= 0.06 as voluntary",
            # not counted: merged, withdrawn, duplicate, out of scope
            f"{told('m1')} as m1_at, {told('m2')} as m2_at, {told('m3')} as m3_at, case when recat_plan < least({cut}, end_at) then recat_plan end as recat_at,"
            f" case when merged then 'merged' when lim is not null and draw < 0.02 and n_way > 0 and mid > at and mid < due then 'withdrawn'"
            f" when late and draw > 0.03 and draw < 0.08 and n_way > 0 and late_mid < end_at then 'withdrawn_late'"
            f" when lim is not null and draw > 0.9 and draw < 0.9105 and mid > at and mid < due then case when draw < 0.9055 then 'duplicate' else 'out_of_scope' end end as why,"
            f" {at('verify_w')} as verify_at, {at('gap_w')} as gap_at",
            f"case when why in ('withdrawn', 'withdrawn_late') then {told(asked)} end as withdrawn,"
            f" case why when 'withdrawn' then {told('verify_at')} when 'withdrawn_late' then {told('end_at')} end as verified,"
            f" case when why = 'merged' then merge_at when why in ('duplicate', 'out_of_scope') or why = 'withdrawn' and voluntary then mid end as stops",
            f"case when stops < {cut} and (why <> 'withdrawn' or verified is not null) then stops end as excluded,"
            f" case when stops < {cut} and (why <> 'withdrawn' or verified is not null) then why when why = 'withdrawn_late' and verified is not null then why end as exclusion,"
            f" stops is null and not dirt as answers, coalesce(lim is not null and n_way > 0 and x_back < 0.01 and at < first_end and first_end < back and back < least(end_at, {cut}) and why is null"
            f" and not dirt and m1 is null, false) as was_back",
            # the answer, to the customer and to the unit it came from
            f"case when answers and cat <> {c['anonymous']} then {told('case when source_unit is not null and x_first < 0.9 then least(greatest(gap_at, at + 600, case when was_back then back + 60 else 0 end), end_at) else end_at end')} end as customer,"
            f" case when answers and source_unit is not null then {told(f'case when cat = {nameless} or x_first < 0.9 then end_at else least(greatest(gap_at, at + 900), end_at) end')} end as office,"
            f" case when dirt and end_at < {cut} then at - 2 - floor(48 * {r()})::int8 end as closed, case when was_back then first_end end as first_at, case when was_back then back end as back_at,"
            f" case when not dirt and (stops is null or excluded is not null) then {told(f'case when stops is not null then stops + 200000 when cat = {nameless} and source_unit is null then end_at else filed_plan end')} end as filed,"
            f" (cat = {c['anonymous']} or {r()} < 0.004) as anonymous, case when m3_at is not null or m1_at is not null and m2_at is null then m_other when m2_at is not null then last_unit"
            f" when s3 < {cut} then u3 when s2 < {cut} then u2 when s1 < {cut} then u1 else accepting end as holder,"
            f" case when recat_at is not null then coalesce(recat_to, keep_to) end as recat_new, floor(16384 * {r()})::int as handler_i,"
            f" case when {r()} < case cat when {c['service_attitude']} then 0.75 when {c['work_error']} then 0.4 when {c['violation']} then 0.6 when {c['financial_crime']} then 0.8 else 0.05 end"
            f" then floor(16384 * {r()})::int end as person_i, floor(16384 * {r('sid')})::int as name_i, lpad(floor(100000000 * {r('sid')})::text, 8, '0') as phone8, {r('sid')} as x_id, {r()} as x_card",
            "case when customer is null and office is null then case when closed is not null then closed when anonymous then filed end"
            " when anonymous and source_unit is not null then office when anonymous then coalesce(filed, customer) when source_unit is null then customer else greatest(customer, office) end as ended_x",
            "case when ended_x is null or (not anonymous and source_unit is not null and closed is null and (customer is null or office is null)) then null else ended_x end as ended",
        ]
        sql = """select n as id, d.day, d.day0, d.ord, d.working, d.burst_share, n - d.first + 1 as serial, width_bucket((n - d.first)::float8 / (d.last - d.first + 1), {hours}) as h,
                   ({gap3} + {month} * power({r}, 1.5))::int8 + 1 as gap
              from bench.day d cross join lateral generate_series(greatest(d.first, %(a)s), least(d.last, %(b)s)) n where d.last >= %(a)s and d.first <= %(b)s""".format(
            hours=_cum(cases.HOURS), gap3=3 * per_day, month=month, r=r("n"))
        have = ["id", "day", "day0", "ord", "working", "burst_share", "serial", "h", "gap"]
        for i, layer in enumerate(layers):                   # a layer hands on what is asked for above it
            later = set(re.findall(r"[a-z_]\w*", " ".join(layers[i + 1:]))) | KEPT
            join = "left join bench.slot s using (slot)" if "s.level1" in layer else ""
            sql = f"select {', '.join('x.' + name for name in have if name in later)}, {layer} from ({sql} offset 0) x {join}"
            have = [name for name in have if name in later] + re.findall(r" as (\w+)", layer) + re.findall(r"(?<= s\.)\w+(?=,)", layer)
        return f"create temporary table gen on commit drop as select {', '.join(name for name in have if name in KEPT)} from ({sql} offset 0) x"

    def inserts(self) -> list[str]:
        """From `gen` into the tables, history and acts first."""
        self.number = 500
        r, cut, c, k, W = self.r, self.cut, CAT, CHANNEL, WORK
        user, full = self.user, f"(ended is null and excluded is null or id % 10 = 0)"      # whose whole history is kept

        def ts(moment: str) -> str:
            return f"to_timestamp({moment})"

        def told(moment: str) -> str:
            return f"case when {moment} < {cut} then to_timestamp({moment}) end"

        def at(w: str) -> str:
            return self.at(f"({w})")

        category = f"({self.categories})"
        day = "to_char(day - floor(-ln(1 - " + r() + ") * 4)::int, 'FMMM月FMDD日')"
        hashed = "decode(md5(name || phone8), 'hex')"
        prepared = f"""create temporary table told on commit drop as
            select g.*, m.title, m.form, m.demand, m.asks, h.name as handler, case when p.name <> h.name then p.name end as person, n.name as name,
                   case when m.asks then round(exp(8.0 + 1.6 * sqrt(-2 * ln(1 - {r()})) * cos(6.2831853 * {r()}))::numeric, 2) end as amount,
                   case when {r()} < 0.0012 then 'public_figure' when {r()} < 0.002 then 'sensitive' when {r()} < case when chan = {k['media']} then 0.4 else 0.002 end then 'reputation' end as major_reason,
                   case when chan = {k['government']} then ({_texts(cases.KINDS)})[width_bucket({r()}, {_cum(cases.KIND_SHARES)}) + 1] end as kind,
                   case when ended < {cut} then ('{{ours,customer,both,none}}'::text[])[width_bucket({r()}, {_cum((52, 20, 15, 13))}) + 1] end as ours, {r()} as x_gap,
                   case when x_id < 0.25 then '990000' || (1950 + floor(55 * {r('sid')})::int) || lpad((1 + floor(12 * {r('sid')}))::text, 2, '0') || lpad((1 + floor(28 * {r('sid')}))::text, 2, '0')
                        || lpad(floor(1000 * {r('sid')})::text, 3, '0') || 'X' end as id_no,
                   (m1_at is null and recat_at is null and not was_back and withdrawn is null and coalesce(s1 < s2, true) and coalesce(s2 < s3, true)) as plain_x, {r()} < 0.012 as redone,
                   {self.pick(texts.FACTS)} as facts, {self.pick(texts.CAUSES)} as cause, {self.pick(texts.HEARD)} as heard
              from gen g join bench.matter m on m.category = case when burst then 9 else cat end and m.i = floor(m_many(cat, burst) * {r('sid')})::int
              join bench.person h on h.i = handler_i left join bench.person p on p.i = person_i join bench.person n on n.i = name_i"""
        many: dict[int, int] = {}
        for number, *_ in matters():
            many[number] = many.get(number, 0) + 1
        prepared = prepared.replace("m_many(cat, burst)", "('{" + ",".join(str(many[i]) for i in range(1, 10)) + "}'::int[])[case when burst then 9 else cat end]")
        complaint = f"""insert into complaint (complaint_id, source_id, complaint_no, pack, calendar_id, policy_id, received_at, registered_at, dispatched_at, read_at, customer_replied_at,
                office_replied_at, closed_at, filed_at, ended_at, excluded_at, exclusion, channel_id, channel_kind, category_id, first_category_id, accepting_unit_id, source_unit_id, unit_id,
                first_unit_id, about_unit_id, handler, person, title, amount, amount_demanded, major, major_reasons, anonymous, malicious, media_level, repeat_of, merged_into, person_hash,
                responsibility, outcome, disputed, source_due_at, marks, restricted, changed_at)
            select id, {self.source}, to_char(day, 'YYYYMMDD') || '-' || lpad(serial::text, 5, '0'), 'bank', {self.calendar}, {self.policy}, {ts('at')}, {ts(f'least(at + 60 + floor(1440 * {r()}), {cut - 1})')},
                   {told('s1')}, case when chan = {k['comment_book']} and {r()} < 0.97 then {told(f'greatest(day0 + 63000 + floor(1800 * {r()}), at + 30)')} end,
                   {ts('customer')}, {ts('office')}, {ts('closed')}, {ts('filed')}, {ts('ended')}, {ts('excluded')}, exclusion, ({self.channels})[chan], kind,
                   {category}[coalesce(recat_new, cat)], {category}[cat], accepting, source_unit, holder, accepting, about, case when n_way = 0 or s1 < {cut} then handler end, person,
                   case when again or merged then '再次投诉：' || title else title end, amount, case when {r()} < 0.5 then round(amount * (1 + floor(2 * {r()}))::int) end,
                   major_reason is not null or coalesce(amount > 50000, false),
                   array_remove(array[major_reason, case when amount > 50000 then 'amount' end], null), anonymous, case when cat = {c['anonymous']} then {r()} < 0.2 end,
                   case when chan = {k['media']} then 1 + width_bucket({r()}, {_cum((60, 30, 10))}) else 0 end, case when again then sid end, case when merged then sid end,
                   case when not anonymous then {hashed} end, ours, case when ended is not null then {self.pick(('customer', 'customer', 'unit', 'both'))} end,
                   case when ended is not null then heard like '客户仍%%' end, case when chan = {k['government']} and x_gap < 0.3 then {ts(f'day0 + 16 * {DAY} - 1')} end,
                   case when closed is not null then '{{closed_before_received}}'::text[] else '{{}}' end, cat = {c['financial_crime']}, {ts(f'least(coalesce(filed, ended, at), {cut - 1})')}
              from told"""
        filled = f"""format(x.form, x.said, x.money, x.place, x.app, x.staff, x.minutes, x.thing, x.street) || format(x.d1, x.said, x.money, x.place, x.app, x.staff, x.minutes, x.thing, x.street)
               || case when x.more then format(x.d2, x.said, x.money, x.place, x.app, x.staff, x.minutes, x.thing2, x.street) else '' end"""
        words_of = f"""insert into complaint_text (complaint_id, text, demand, reply)
            select id, case when again or merged then '客户曾反映“' || title || '”，对处理结果不认可，再次投诉。' else opening end || {filled} || ending
                       || case when x_card < 0.04 and not anonymous then '联系电话140' || phone8 || coalesce('，身份证号' || id_no, '') || '。' else '' end,
                   case when again or merged then '重新核查并书面答复' else demand end,
                   case when (ended is not null or customer is not null) and cat <> {c['anonymous']} then replace(replace(facts, '{{t}}', title), '{{c}}', cause) else '' end
              from (select t.*, {day} as said, coalesce(to_char(amount, 'FM999,999,990.00'), to_char(50 + floor(9000 * {r()}), 'FM9,999')) as money, {self.pick(texts.APPS)} as app,
                           coalesce(person, '某员工') as staff, 25 + floor(125 * {r()})::int as minutes, {self.pick(words.THINGS)} as thing, {self.pick(words.THINGS)} as thing2,
                           {self.pick(names.PLACES)} as street, {self.pick(words.DETAILS)} as d1, {self.pick(words.DETAILS)} as d2, {r()} < 0.45 as more,
                           {self.pick(texts.OPENINGS)} as opening, {self.pick(texts.ENDINGS)} as ending from told t offset 0) x"""
        hops = f"""insert into hop (complaint_id, hop_no, unit_id, sent_at, signed_at)
            select id, v.no, v.unit, {ts('v.sent')}, {told('v.signed')} from gen
             cross join lateral (values (1, u1, s1, g1), (2, u2, s2, g2), (3, u3, s3, g3)) v (no, unit, sent, signed) where v.no <= n_way and v.sent < {cut}"""
        head = "insert into event (complaint_id, event_id, at, recorded_at, code, user_id, unit_from, unit_to, category_from, category_to, was_at, keeps_limit, reason) overriding system value"
        events = [f"""{head}
            select id, id * 32 + v.no, {ts('v.at')}, {ts('v.at')}, v.code, null, v.unit_from, v.unit_to, null, case when v.no = 0 then ({self.categories})[cat] end, null, false, null
              from gen cross join lateral (values
                (0, at, 'received', null::int, accepting), (1, s1, 'hop_sent', accepting, u1), (2, s2, 'hop_sent', u1, u2), (3, s3, 'hop_sent', u2, u3), (10, ended, 'done', null, null)
                ) v (no, at, code, unit_from, unit_to) where v.at < {cut}""", f"""{head}
            select id, id * 32 + v.no, {ts('v.at')}, {ts('v.at')}, v.code, v.by, v.unit_from, v.unit_to, ({self.categories})[v.from_c], ({self.categories})[v.to_c], {ts('v.was')}, coalesce(v.keeps, false), v.why
              from (select g.*, case when m1_at is not null then {self.pick(texts.REASSIGNED)} end as why_moved, case when was_back then {self.pick(texts.RETURNED)} end as why_back
                      from gen g where m1_at is not null or recat_at is not null or was_back or excluded is not null offset 0) g
             cross join lateral (values
                (4, m1_at, 'reassigned', {user}, last_unit, m_other, null::int, null::int, null::int8, null::boolean, why_moved),
                (5, m2_at, 'reassigned', {user}, m_other, last_unit, null, null, null, null, '{texts.PING_PONG}'), (6, m3_at, 'reassigned', {user}, last_unit, m_other, null, null, null, null, '{texts.PING_PONG}'),
                (7, recat_at, 'recategorised', {user}, null, null, cat, recat_new, null, recat_to is null, case when recat_to is null then '核查后类别调整，时限不变' else '受理部门复核后调整' end),
                (8, first_at, 'done', null, null, null, null, null, null, null, null), (9, back_at, 'returned', {user}, null, holder, null, null, first_at, null, why_back),
                (11, case when exclusion not like '%late' then excluded end, 'excluded', null, null, null, null, null, null, null, null)
                ) v (no, at, code, by, unit_from, unit_to, from_c, to_c, was, keeps, why) where v.at < {cut}""", f"""{head}
            select id, id * 32 + v.no, {ts('v.at')}, {ts('v.at')}, v.code, null, null, v.unit_to, null, null, null, false, null
              from gen cross join lateral (values
                (12, s1, 'dispatched', null::int), (13, case when s1 < {cut} then g1 end, 'signed', u1), (14, case when s2 < {cut} then g2 end, 'signed', u2), (15, case when s3 < {cut} then g3 end, 'signed', u3),
                (16, customer, 'replied_customer', null), (17, office, 'replied_office', null), (18, coalesce(office, customer), 'reply_written', null), (19, filed, 'filed', null),
                (20, withdrawn, 'withdrawal_requested', null), (21, verified, 'withdrawal_verified', null)) v (no, at, code, unit_to) where {full} and v.at < {cut}"""]
        reply = f"""insert into reply (complaint_id, reply_no, at, facts, person_treated, lessons, satisfaction, handled, handler, telephone, not_applicable, not_applicable_reason)
            select id, 1, {ts('coalesce(office, customer)')}, case when x_gap < 0.0125 then null else replace(replace(facts, '{{t}}', title), '{{c}}', cause) end,
                   case when person is not null and ours in ('ours', 'both') and x_gap not between 0.0125 and 0.025 then {self.pick(texts.TREATED)} end,
                   case when ours in ('ours', 'both') and x_gap not between 0.025 and 0.05 then {self.pick(texts.LESSONS)} end, case when x_gap not between 0.05 and 0.0625 then heard end,
                   to_char(day, 'YYYY年FMMM月FMDD日') || '—' || to_char(to_timestamp(coalesce(office, customer) + {ZONE_OFFSET}), 'FMMM月FMDD日'), handler, case when x_gap not between 0.0625 and 0.075 then unit_phone end,
                   array_remove(array[case when (person is null or ours not in ('ours', 'both')) and x_gap not between 0.0125 and 0.025 then 2 end,
                                      case when ours not in ('ours', 'both') and x_gap not between 0.025 and 0.05 then 3 end], null)::int2[],
                   case when person is null or ours not in ('ours', 'both') then '{texts.NOT_APPLICABLE}' end
              from told where (ended is not null or customer is not null) and coalesce(office, customer) is not null and cat <> {c['anonymous']}"""
        calls = f"""insert into call_back (complaint_id, call_no, at, by_whom, outcome, score, words, user_id)
            select id, row_number() over (partition by id order by moment), {ts('moment')}, whom, case when reached then 'answered' else ('{{unreachable,refused,wrong_number}}'::text[])[width_bucket(x3, {_cum((80, 14, 6))}) + 1] end,
                   case when reached then score end, case when reached and x3 < 0.7 then (case score when 'satisfied' then {self.pick(texts.WORDS['satisfied'][:3])}
                        when 'basically' then {self.pick(texts.WORDS['basically'][:3])} else {self.pick(texts.WORDS['dissatisfied'][:4])} end) end, case when whom = 'office' then {user} end
              from (select id, whom, {self.at('w')} as moment, reached, x3,
                           ('{{satisfied,basically,dissatisfied}}'::text[])[case when whom = 'unit' then width_bucket(x2, {_cum((88, 9.5, 2.5))}) when late then width_bucket(x2, {_cum((44, 28, 28))})
                                else width_bucket(x2, {_cum((63, 26, 11))}) end + 1] as score
                      from (select g.id, g.late, v.* from (select g.*, {r()} as c1, {r()} as c2, {r()} as c3, {r()} as c4, {r()} as c5, {r()} as c6, {r()} as c7, {r()} as c8, {r()} as c9, {r()} as c10 from gen g
                                                     where ended is not null and not anonymous and closed is null offset 0) g
                             cross join lateral (values (c1 < 0.4, 'unit', end_w + (0.5 + 6 * c2) * {W}, c3 < 0.9, c4, c5), (c6 < 0.25, 'office', end_w + (0.6 + 7 * c7) * {W}, c8 < 0.55, c9, c10),
                                    (c6 < 0.125 and c8 >= 0.55, 'office', end_w + (1.6 + 7 * c7) * {W}, c5 < 0.35, c10, c9)) v (so, whom, w, reached, x2, x3)
                             where v.so offset 0) y offset 0) z where moment < {cut} order by 1, 2"""
        urges = f"""insert into urge (complaint_id, urge_id, level, sent_at, work_day, unit_id, contact_rank, contact, phone, via, spoke_to, note, letter_no, user_id, user_name, ack_due_at, acknowledged_at,
                    answered_at, answer, promised_on, moved_at) overriding system value
            select distinct on (id, level, work_day) id, id * 8 + no, level, {ts('sent')}, work_day, holder, 1, contact, unit_phone, case when by_phone then 'telephone' else 'message' end,
                   case when by_phone then contact end, nullif({self.pick(texts.URGED)}, ''), case when level = 3 then '督办函〔' || to_char(work_day, 'YYYY') || '〕第' || id || '号' end, {user}, '{self.user_name}',
                   to_timestamp((sent / {DAY} + 2) * {DAY} - {ZONE_OFFSET} - 1), {told('signed')}, {told('answered')}, case when answered < {cut} then {self.pick(texts.ANSWERS)} end,
                   case when (by_phone and x3 < 0.9 or x3 < 0.4 and answered < {cut}) and level > 1 then work_day + 2 end, to_timestamp(nullif(least(coalesce(answered, {cut}), coalesce(ended, {cut})), {cut}))
              from (select z.*, (to_timestamp(sent + {ZONE_OFFSET}) at time zone 'UTC')::date as work_day, case when by_phone then sent + 60 when x2 < 0.95 then sent + floor(-ln(1 - x1) * 14000)::int8 end as signed,
                           case when x2 < 0.75 then sent + 3600 + floor(-ln(1 - x1) * 40000)::int8 end as answered
                      from (select y.*, {self.at('w')} as sent, level = 2 and x1 < 0.2 as by_phone
                              from (select g.*, v.*, {r('(id * 8 + v.no)')} as x1, {r('(id * 8 + v.no)')} as x2, {r('(id * 8 + v.no)')} as x3 from (select * from gen where (late or lim is not null and {r()} < 0.03) and stops is null and closed is null and n_way > 0 offset 0) g
                                     cross join lateral (values
                                        (1, 1, late and {r()} < 0.25, (ord + lim - 1.4) * {W}), (2, 2, late and {r()} < 0.8, (ord + lim + 0.1 + 0.6 * x_first) * {W}),
                                        (3, 2, late and {r()} < 0.7, (ord + lim + 2.2 + 0.6 * x_first) * {W}), (4, 3, late and {r()} < 0.75, (ord + lim + 3.1 + 0.6 * x_first) * {W}),
                                        (5, 4, late and {r()} < 0.4, (ord + lim + 5.2 + 0.6 * x_first) * {W}), (6, 2, late and {r()} < 0.5, (ord + lim + 7.1 + 0.6 * x_first) * {W}),
                                        (7, 1, not late, (ord + lim - 1.4) * {W})) v (no, level, so, w)
                                     where v.so offset 0) y offset 0) z
                     where sent < least(end_at, {cut}) and sent > s1 offset 0) q order by id, level, work_day, no"""
        small = [
            f"""insert into complainant (complaint_id, name, phone, id_no) select id, name, '140' || phone8, id_no from told where not anonymous""",
            f"""insert into complaint_key (source_id, complaint_no, complaint_id) select {self.source}, to_char(day, 'YYYYMMDD') || '-' || lpad(serial::text, 5, '0'), id from gen""",
            f"""insert into withdrawal (complaint_id, withdrawal_no, requested_at, verified_at, result, late, by_unit_id, reason)
                select id, 1, {ts('withdrawn')}, {ts('verified')}, case when verified is not null then case when why = 'withdrawn' and not voluntary then 'pressured' else 'voluntary' end end,
                       case when verified is not null then why = 'withdrawn_late' end, accepting, case when why = 'withdrawn' and not voluntary then '{texts.PRESSURED}' else {self.pick(texts.WITHDRAWN)} end
                  from gen where withdrawn is not null""",
            f"""insert into redo (complaint_id, redo_no, started_at, ended_at, reason) select id, 1, {ts('start')}, {told(at('w + (0.4 + 2.4 * x2) * ' + str(W)))}, {self.pick(texts.REOPENED)}
                  from (select y.*, {at('w')} as start from (select id, end_w + (2 + 12 * {r()}) * {W} as w, {r()} as x2 from told where ended is not null and closed is null and not anonymous and redone offset 0) y offset 0) z
                 where start < {cut}""",
            f"""insert into delay (complaint_id, delay_no, reported_at, reason, customer_told_at) select id, 1, {ts('t')}, {self.pick(texts.DELAYS)}, case when {r()} < 0.7 then {told('t + 3600')} end
                  from (select g.*, {at(f'(ord + lim - 0.8 + 2 * x_first) * {W}')} as t from gen g where late and stops is null and {r()} < 0.4 offset 0) y where t < least(end_at, {cut})""",
            f"""insert into contest (complaint_id, contest_no, requested_at, unit_id, reason, decided_at, upheld, decision)
                select id, 1, {ts('t')}, holder, {self.pick(texts.CONTESTED)}, {told(f't + 3 * {DAY}')}, case when t + 3 * {DAY} < {cut} then false end, case when t + 3 * {DAY} < {cut} then '{texts.DECIDED[1]}' end
                  from (select g.*, {at(f'(ord + lim + 1 + 3 * x_first) * {W}')} as t from gen g where late and stops is null and {r()} < 0.1 offset 0) y where t < {cut}""",
            f"""insert into directive (complaint_id, directive_no, at, leader, text, answer_due_at, answered_at)
                select id, 1, {ts('at + 90000')}, {self.pick(texts.LEADERS)}, {self.pick(texts.DIRECTIVES)}, {ts(f'day0 + 6 * {DAY} - 1')}, {told(f'at + 3 * {DAY}')}
                  from told where major_reason is not null and {r()} < 0.3 and at + 90000 < {cut}""",
            f"""insert into regulator_report (complaint_id, reported_at, receipt_at) select id, {ts(f'at + {DAY}')}, {told(f'at + 5 * {DAY}')} from told
                 where major_reason is not null and {r()} < 0.5 and at + {DAY} < {cut}""",
            f"""insert into rectification (complaint_id, rectification_no, unit_id, measure, due_on, done_at)
                select id, 1, holder, {self.pick(texts.MEASURES)}, (to_timestamp(ended) + interval '28 days')::date, {told(f'ended + floor((10 + 22 * {r()}) * {DAY})')}
                  from told where ours in ('ours', 'both') and {r()} < 0.04""",
            f"""insert into released (complaint_id, released_at, user_id, reason) select id, {ts(f'ended + {DAY}')}, {user}, '配合监管检查' from told
                 where kind = 'regulator' and ended < {cut} - {DAY} and cat <> {c['financial_crime']} and id % 10 < 3""",
        ]
        return [prepared, hops, *events, *small, reply, calls, urges, words_of, complaint]

    def limits(self) -> str:
        """Table bench.judged: the limits of the reply clock (d: of the dispatch clock, by web) for a receipt on each day, as limit_at() gives them."""
        return f"""create table bench.judged as
            select d.day, k.cat, c.clock, l.* from bench.day d cross join generate_series(1, {len(CATEGORIES)}) k (cat) cross join (values ('r'::"char"), ('d'::"char")) c (clock)
              join category g on g.category_id = ({self.categories})[k.cat]
             cross join lateral limit_at({self.policy}, c.clock, g.category_id, g.complexity, ({self.channels})[{CHANNEL['web']}], to_timestamp(d.day0 + 43200), {self.calendar}, null) l"""

    def spans(self) -> list[str]:
        """The spans of those to which nothing happened but hops and an end, in one set; "other" is everybody else, for respan(). check_spans() compares a sample of both."""
        cut, web = self.cut, CHANNEL["web"]
        plain = f"""(select t.id, t.day, t.cat, t.chan, t.about, t.accepting, t.at, t.ended, t.excluded, t.s1 as sent, array[t.accepting, t.u1, t.u2, t.u3] as units,
                   array[t.at, case when t.s1 < {cut} then t.s1 end, case when t.s2 < {cut} then t.s2 end, case when t.s3 < {cut} then t.s3 end] as since
              from told t where {PLAIN} offset 0)"""
        insert = f"""insert into clock_span (complaint_id, clock, seq, valid_from, valid_to, entry, unit_id, label, charged_unit_id, charged_label, about_unit_id, about_label, category_id, channel_id,
                received_at, started_at, started_ord, target_at, due_at, due_ord, due_from, limit_id, provisional, first_category_id, first_target_at, first_due_at, ended_at, ended_ord, excluded_at,
                source_id, calendar_id, restricted)
            select x.id, x.clock, x.seq, to_timestamp(x.since), coalesce(to_timestamp(x.until), 'infinity'), (case when x.seq = 1 then 'r' else 'm' end)::"char", x.unit, u.label, x.charged, a.label, x.about, o.label,
                   ({self.categories})[x.cat], ({self.channels})[x.chan], to_timestamp(x.at), to_timestamp(x.at), x.started_ord, x.target_at, x.due_at, x.due_ord, 'p', x.limit_id, x.provisional,
                   ({self.categories})[x.cat], x.target_at, x.due_at, to_timestamp(x.ends), w.ordinal, to_timestamp(x.excluded), {self.source}, {self.calendar}, x.cat = {CAT['financial_crime']}
              from (select p.*, 'r'::"char" as clock, i::smallint as seq, p.since[i] as from_at, p.since[i + 1] as until, p.units[i] as unit, p.ended as ends,
                           p.units[least(i, case when settled < p.since[2] then 1 when settled < p.since[3] then 2 when settled < p.since[4] then 3 else i end)] as charged
                      from (select p.*, l.started_ord, l.target_at, l.due_at, l.due_ord, l.limit_id, coalesce(l.provisional, false) as provisional, least(extract(epoch from l.due_at), p.ended) as settled
                              from {plain} p join bench.judged l on l.day = p.day and l.cat = p.cat and l.clock = 'r' offset 0) p
                     cross join generate_series(1, 4) i where p.since[i] is not null) x
              join unit u on u.unit_id = x.unit"""
        columns = "id, cat, chan, about, at, excluded, started_ord, target_at, due_at, due_ord, limit_id, provisional"
        insert = insert.replace("from (select p.*, 'r'::", f"from (select {columns}, 'r'::").replace("as seq, p.since[i] as from_at,", "as seq, p.since[i] as since,")
        insert = insert.replace(" where p.since[i] is not null) x", f""" where p.since[i] is not null
                    union all
                    select p.id, p.cat, p.chan, p.about, p.at, p.excluded, l.started_ord, l.target_at, l.due_at, l.due_ord, l.limit_id, coalesce(l.provisional, false),
                           'd', 1::smallint, p.at, null, p.accepting, least(case when p.sent < {cut} then p.sent end, p.ended), p.accepting
                      from {plain} p join bench.judged l on l.day = p.day and l.cat = p.cat and l.clock = 'd' where p.chan = {web}) x""")
        insert += f"""
              join unit a on a.unit_id = x.charged join unit o on o.unit_id = x.about
              left join workday w on w.calendar_id = {self.calendar} and w.day = (to_timestamp(x.ends) at time zone 'Asia/Shanghai')::date"""
        return [insert]
