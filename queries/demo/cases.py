"""The demo bank's complaints: what was complained of, who had it when, how it ended. Deterministic, no database.

Times are whole seconds of local wall clock since 1970. Work is planned on an axis of working time (`Days`), 9 hours a
working day, so that a plan "answered on the 3rd working day" keeps its meaning over holidays; what lies after the cut
is not told: that is what makes open complaints.
"""
from bisect import bisect
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import blake2b
from itertools import accumulate
from math import pi, sin
from random import Random

from queries.demo import texts
from queries.demo.units import Unit, person

DAY, OPENS, WORK = 86_400, 30_600, 32_400               # 08:30, nine hours
LIMIT = {"s": 3, "c": 10}                               # article 11
WORSE, BETTER, CARDS, E_BANK = "宁波", "四川", "信用卡中心", "电子银行部"
WEEKS = 113                                             # 26 months
BURST_WEEKS_AGO, BURST_DAYS, BURST_SHARE = 8, 10, 0.0052

# Category: complexity, and its share by channel, in the order of CHANNELS.
CHANNELS = ("phone", "web", "comment_book", "walk_in", "letter", "media", "superior", "government")
MIX = {
    "service_product": ("c", (66, 38, 3, 8, 5, 1, 3, 14)), "violation": ("c", (9, 4, .3, 3, 2, .8, 2, 7)),
    "service_channel": ("c", (54, 25, 5, 3, 1, .3, 2, 7)), "service_attitude": ("s", (38, 9, 13, 7, 1, .3, 1, 2)),
    "anonymous": (None, (2, 2, .4, 1, 3, 0, .4, 4)), "internal_management": ("s", (12, 4, 3, 3, 1, .1, .3, 1)),
    "work_error": ("s", (37, 10, 3, 6, 2, .1, 1, 3)), "financial_crime": (None, (1.4, .6, 0, .5, 1, 0, .4, .6)),
}
COMPLEXITY = {category: complexity for category, (complexity, _) in MIX.items()}
# How often somebody is complained about by name; what a category is changed to.
NAMED = {"service_attitude": 0.75, "work_error": 0.4, "violation": 0.6, "financial_crime": 0.8}
RECATEGORISED = {"s": ("service_product", "violation"), "c": ("work_error", "service_attitude")}
KINDS, KIND_SHARES = ("regulator", "central_bank", "12345", "petition", "consumer"), (26, 8, 40, 10, 16)
# When telephone and web are used, by hour; and everything else.
HOURS = [1, .6, .4, .3, .3, .5, 1, 2.5, 6, 10, 11, 9, 6, 6, 9, 10, 9, 7, 5, 4, 4, 3.5, 2.5, 1.6]
OFFICE_HOURS = [0] * 8 + [3, 10, 11, 7, 2, 4, 9, 9, 6, 2] + [0] * 6

TABLES = {  # table: columns; "@" marks a time
    "hop": "complaint_id hop_no unit_id sent_at@ signed_at@",
    "event": "complaint_id at@ code unit_from unit_to category_from category_to was_at@ keeps_limit reason params"
             " user_id",
    "reply": "complaint_id reply_no at@ facts person_treated lessons satisfaction handled handler telephone"
             " not_applicable not_applicable_reason",
    "call_back": "complaint_id call_no at@ by_whom outcome score words user_id",
    "redo": "complaint_id redo_no started_at@ ended_at@ reason",
    "delay": "complaint_id delay_no reported_at@ reason customer_told_at@",
    "contest": "complaint_id contest_no requested_at@ unit_id reason decided_at@ upheld decision",
    "directive": "complaint_id directive_no at@ leader text answer_due_at@ answered_at@",
    "rectification": "complaint_id rectification_no unit_id measure due_on done_at@",
    "regulator_report": "complaint_id reported_at@ receipt_at@",
    "complaint_text": "complaint_id text demand reply",
    "complainant": "complaint_id name phone id_no",
    "complaint": "complaint_id complaint_no received_at@ registered_at@ dispatched_at@ read_at@ customer_replied_at@"
                 " office_replied_at@ closed_at@ filed_at@ excluded_at@ exclusion channel_id channel_kind category_id"
                 " first_category_id accepting_unit_id source_unit_id unit_id first_unit_id about_unit_id handler"
                 " person title amount amount_demanded major major_reasons anonymous malicious media_level repeat_of"
                 " merged_into person_hash responsibility outcome disputed source_due_at@ marks",
    "withdrawal": "complaint_id withdrawal_no requested_at@ verified_at@ result by_unit_id reason",
    "urge": "complaint_id level sent_at@ unit_id contact_rank contact phone via spoke_to note letter_no user_id"
            " user_name acknowledged_at@ answered_at@ answer promised_on moved_at@",
}


def seconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY


def day_of(moment: int) -> date:
    return date(1970, 1, 1) + timedelta(moment // DAY)


class Days:
    """The calendar as an axis of working time: `work(t)` in working seconds, `at(w)` the moment, `ordinal(t)` days."""

    def __init__(self, days: list[tuple[date, bool, int]]):
        self.first = seconds(days[0][0]) // DAY
        self.working = [working for _, working, _ in days]
        self.ordinals = [ordinal for _, _, ordinal in days]
        self.day = {ordinal: self.first + i for i, (_, working, ordinal) in enumerate(days) if working}

    def ordinal(self, moment: int) -> int:
        return self.ordinals[moment // DAY - self.first]

    def is_working(self, day: int) -> bool:
        return self.working[day - self.first]

    def work(self, moment: int) -> float:
        i = moment // DAY - self.first
        if not self.working[i]:
            return self.ordinals[i] * WORK
        return (self.ordinals[i] - 1) * WORK + min(max(moment % DAY - OPENS, 0), WORK)

    def at(self, work: float) -> int:
        return self.day[int(work // WORK) + 1] * DAY + OPENS + int(work % WORK)


@dataclass
class Bank:
    """What the generator needs: units with their ids, codes of the pack, the calendar, the end of history."""
    units: list[Unit]
    ids: list[int]
    categories: dict[str, int]
    channels: dict[str, int]
    days: Days
    cut: int
    supervisor: tuple[int, str]
    unmapped: int
    branch: list[int | None] = field(init=False)
    by_name: dict[str, int] = field(init=False)

    def __post_init__(self):
        self.branch, self.by_name = [], {}
        for unit in self.units:
            above = None if unit.above is None else self.branch[unit.above]
            self.branch.append(unit.place if unit.kind in ("branch1", "overseas") else above)
            self.by_name.setdefault(unit.name, unit.place)


class Choice:
    """Weighted choice, prepared once."""

    def __init__(self, rng: Random, values: list, weights: list[float]):
        self.rng, self.values, self.sums = rng, values, list(accumulate(weights))

    def __call__(self):
        return self.values[min(bisect(self.sums, self.rng.random() * self.sums[-1]), len(self.values) - 1)]


def received(rng: Random, days: Days, cut: int, n: int) -> list[tuple[int, bool]]:
    """(moment, of the burst?) in order: seasons, holidays, a slow rise, and one outage about eight weeks ago."""
    last = cut // DAY
    every = range(last - WEEKS * 7, last)
    weights = []
    for i, d in enumerate(every):
        day = day_of(d * DAY)
        weight = 1.0 if days.is_working(d) else 0.36
        weight *= 1 + 0.10 * (day.weekday() == 0) - 0.04 * (day.weekday() == 4)
        weight *= 1 + 0.06 * sin(2 * pi * (day.timetuple().tm_yday - 60) / 365)
        weight *= 1.18 if (day.month, day.day) >= (11, 9) and (day.month, day.day) <= (11, 20) else 1
        ahead = sum(not days.is_working(d + k) for k in range(1, 12))
        weight *= 1.12 if ahead >= 8 and days.is_working(d) else 1          # before a long holiday
        if not days.is_working(d) and sum(not days.is_working(d + k) for k in range(-5, 6)) >= 7:
            weight *= 0.62                                                  # in it
        weights.append(weight * (0.92 + 0.16 * i / len(every)))
    burst = round(n * BURST_SHARE)
    start = last - BURST_WEEKS_AGO * 7 - 2
    chosen = [(d, False) for d in rng.choices(every, weights, k=n - burst)]
    chosen += [(start + min(int(rng.expovariate(0.22)), BURST_DAYS - 1), True) for _ in range(burst)]
    return sorted((d * DAY + rng.choices(range(24), HOURS)[0] * 3600 + rng.randrange(3600), in_burst)
                  for d, in_burst in chosen)


class Cases:
    """`chunks()` yields {table: rows} in the order of `TABLES`; complaints are numbered from `first_id`."""

    def __init__(self, bank: Bank, seed: int, n: int, first_id: int):
        self.bank, self.n, self.first_id, self.rng = bank, n, first_id, Random(seed)
        rng, units = self.rng, bank.units
        self.category = Choice(rng, list(MIX), [sum(shares) for _, shares in MIX.values()])
        self.channel = {c: Choice(rng, CHANNELS, shares) for c, (_, shares) in MIX.items()}
        self.about = {}
        for category in MIX:
            def weight(u: Unit) -> float:
                if u.above == 0 and u.kind == "department":
                    fits = {"service_product": 1.7, "service_channel": 1.1, "violation": 0.8, "service_attitude": 0.3,
                            "work_error": 0.5}
                    own = u.name == E_BANK and category == "service_channel"
                    return u.weight * fits.get(category, 0) * (1.6 if own else 1)
                return u.weight
            self.about[category] = Choice(rng, units, [weight(u) for u in units])
        self.outlet = Choice(rng, [u for u in units if u.kind == "outlet"],
                             [u.weight for u in units if u.kind == "outlet"])
        self.matters = {c: [line.split("|") for line in block.strip().splitlines()]
                        for c, block in texts.MATTERS.items()}
        self.of_cards = [m for m in self.matters["service_product"]
                         if any(w in m[0] for w in ("信用卡", "分期", "积分"))]
        self.of_e_bank = [m for m in self.matters["service_channel"]
                          if any(w in m[0] for w in ("手机", "短信", "网银", "支付"))]
        self.people = [person(rng) for _ in range(4000)]
        self.start = bank.cut - WEEKS * 7 * DAY
        self.kind, self.media = Choice(rng, KINDS, KIND_SHARES), Choice(rng, (1, 2, 3), (60, 30, 10))
        self.in_time = {"s": Choice(rng, range(4), (10, 34, 34, 22)),
                        "c": Choice(rng, range(1, 11), (4, 7, 9, 11, 13, 14, 13, 11, 9, 9))}
        self.recent, self.day, self.serial, self.letters = [], None, 0, {}
        self.month = n * 30 // (WEEKS * 7)                      # as many as come in 30 days

    def chunks(self, size: int):
        moments = received(self.rng, self.bank.days, self.bank.cut, self.n)
        for begin in range(0, self.n, size):
            self.out = {table: [] for table in TABLES}
            for i, (moment, burst) in enumerate(moments[begin:begin + size], begin):
                self.one(self.first_id + i, moment, burst)
            yield self.out

    def late_share(self, branch: int | None, due: int) -> float:
        """How likely the limit that ends at `due` is missed: steady everywhere but in two branches."""
        weeks = (self.bank.cut - due) / DAY / 7
        name = self.bank.units[branch].short if branch is not None else ""
        if name == WORSE:
            return 0.03 + 0.24 * max(0.0, 1 - max(weeks, 0) / 10)
        if name == BETTER:
            return 0.02 + 0.22 * min(max(weeks, 0) / 14, 1) if weeks < 40 else 0.06
        return 0.052

    def one(self, cid: int, at: int, burst: bool) -> None:
        """One complaint with everything that happened to it before the cut."""
        rng, bank, days, out, cut = self.rng, self.bank, self.bank.days, self.out, self.bank.cut
        chance, ids, units = rng.random, bank.ids, bank.units

        def told(moment: float | None) -> int | None:
            return int(moment) if moment is not None and moment < cut else None

        def event(moment, code, unit_from=None, unit_to=None, category_from=None, category_to=None, was_at=None,
                  keeps=False, reason=None, params="{}", user=None):
            if moment is not None and moment < cut:
                out["event"].append((cid, moment, code, unit_from, unit_to, category_from, category_to, was_at, keeps,
                                     reason, params, user))

        # What, about whom, by which channel; some complain again.
        again = merged = None
        if burst:
            category, channel = "service_channel", "phone" if chance() < 0.66 else "web"
        else:
            category = self.category()
            channel = self.channel[category]()
        about = self.outlet() if channel == "comment_book" else self.about[category]()
        if not burst and chance() < 0.034 and len(self.recent) > self.month and COMPLEXITY[category]:
            old = self.recent[-1 - int(self.month * chance() ** 1.5)]
            if at - old[1] > 3 * DAY:
                if old[2] is not None and old[2] < at:
                    again = old
                elif old[2] is None or chance() < 0.4:
                    merged = old
        before = again or merged
        if before:
            category, about = before[3], before[4]
            channel = "phone" if channel == "comment_book" else channel
        cat = COMPLEXITY[category]
        if channel not in ("phone", "web"):
            at = at // DAY * DAY + rng.choices(range(24), OFFICE_HOURS)[0] * 3600 + rng.randrange(3600)
        branch = bank.branch[about.place]
        home = None if branch is None or units[branch].kind == "overseas" else units[branch]
        unmapped = chance() < 0.0004

        # Who takes it in, and the way down.
        head = units[0].children                                # union, service centre, office, discipline, …
        if channel == "comment_book":
            accepting = about.place
        elif channel == "web" or (channel == "phone" and (home is None or chance() < 0.85)):
            accepting = head[1]
        elif channel == "phone":
            accepting = home.children[2]
        elif channel == "media":
            accepting = home.children[1] if home and chance() < 0.7 else head[2]
        elif channel == "superior" or home is None:
            accepting = head[0]
        elif channel == "government":
            accepting = rng.choice((home.children[0], home.children[0], home.children[2], head[0]))
        else:
            accepting = home.children[0] if chance() < 0.7 else head[0]
        if unmapped:
            way, accepting_id = [], bank.unmapped
        else:
            way, step = [], about.place
            if category == "financial_crime":
                way = [home.children[5] if home else head[3]]
            elif channel != "comment_book":
                if about.kind == "outlet" and chance() < 0.3:   # handled one level up
                    step = about.above
                while step:
                    way.append(step)
                    step = units[step].above
                way.reverse()
                if bank.branch[accepting] is not None and len(way) > 1:
                    way = way[1:]
                way = [u for u in way if u != accepting]
            accepting_id = ids[accepting]
        about_id = bank.unmapped if unmapped else ids[about.place]
        source_unit = accepting_id if way else None

        # The plan: the day of the answer in working days from receipt, then the steps before it.
        received_o, received_w = days.ordinal(at), days.work(at)
        recat = None
        if cat and not before and chance() < 0.02:
            recat = rng.choice(RECATEGORISED[cat])
        limit = LIMIT.get(COMPLEXITY[recat] if recat else cat)
        due = None
        late = False
        if limit:
            due = days.day[received_o + limit] * DAY + DAY - 1
            late = chance() < self.late_share(branch, due)
            slow = units[branch].short == WORSE if branch is not None else False
            if late:
                k = limit + 1 + min(int(rng.expovariate(1 / (8.0 if slow else 4.6))), 45)
            else:
                k = self.in_time["s" if limit == 3 else "c"]()
                k = max(k, 2) if recat else k
        else:
            k = 3 + min(int(rng.expovariate(1 / (24 if category == "financial_crime" else 9))), 90)
        end_w = (received_o + k - 1) * WORK + (0.1 + 0.88 * chance()) * WORK
        if end_w < received_w + 3000:
            end_w = received_o * WORK + (0.1 + 0.88 * chance()) * WORK
        end = days.at(end_w)
        if late and not days.is_working(due // DAY + 1) and chance() < 0.3:
            end = (due // DAY + 1) * DAY + 33_000 + rng.randrange(25_000)      # late by less than a working day
            end_w = days.work(end)
        room = end_w - received_w

        # Down the chain: sent, signed for, sent on; what was planned too slowly for the answer is pressed together.
        gaps, sent = [], []
        if way:
            first = {"phone": 0.05, "web": 0.45, "letter": 0.6}.get(channel, 0.2) * WORK
            gaps = [600 + rng.expovariate(1 / first)] + [900 + rng.expovariate(1 / (0.22 * WORK)) for _ in way[1:]]
            if channel == "web" and chance() < 0.03:
                gaps[0] = (2 + chance()) * WORK
            if late and chance() < 0.3:
                gaps[-1] += chance() * (limit or 3) * 0.6 * WORK
            squeeze = min(1.0, 0.55 * max(room, 600) / sum(gaps))
            moment = received_w
            for gap in gaps:
                moment += gap * squeeze
                sent.append(moment)
        dispatched = max(days.at(sent[0]), at + 60) if way else None
        holder, moved = accepting_id, []                       # (moment, unit id): who had it from when
        previous = accepting_id
        last = received_w
        for i, (unit, w) in enumerate(zip(way, sent)):
            moment = max(days.at(w), dispatched + i)
            until = sent[i + 1] if i + 1 < len(sent) else end_w
            signed = days.at(w + (until - w) * min(0.9, rng.expovariate(6)))
            if moment < cut:
                out["hop"].append((cid, i + 1, ids[unit], moment, told(max(signed, moment + 60))))
                event(moment, "hop_sent", previous, ids[unit])
                moved.append((moment, ids[unit]))
            previous, last = ids[unit], w
        if channel == "web" and not way:                       # for the service centre itself
            dispatched = max(days.at(received_w + (0.1 + chance()) * WORK), at + 60)
        event(dispatched, "dispatched")
        if way and not unmapped and category != "financial_crime" and chance() < 0.04 and end_w - last > 0.4 * WORK:
            w = last + (0.15 + 0.5 * chance()) * (end_w - last)
            if chance() < 0.3 or home is None:
                other = rng.choice(self.recent)[4].place if self.recent else 0
            else:
                other = rng.choice((rng.choice(home.children), home.children[3], about.above or home.place))
            if other and ids[other] not in (previous, accepting_id):
                event(days.at(w), "reassigned", previous, ids[other], reason=rng.choice(texts.REASSIGNED),
                      user=bank.supervisor[0])
                if days.at(w) < cut:
                    moved.append((days.at(w), ids[other]))
                has, wants = ids[other], previous
                for often in (0.14, 0.4, 0.4, 0.3):            # to and fro: a few are sent back more than twice
                    if chance() >= often:
                        break
                    w += 0.5 * (end_w - w)
                    event(days.at(w), "reassigned", has, wants, reason=texts.PING_PONG, user=bank.supervisor[0])
                    if days.at(w) < cut:
                        moved.append((days.at(w), wants))
                    has, wants = wants, has
                last = w
        holder = moved[-1][1] if moved else accepting_id
        new_category = None
        if recat:
            w = received_w + min(0.7 * WORK, 0.5 * room)
            if days.at(w) < min(cut, end):
                new_category = recat
                event(max(days.at(w), at + 120), "recategorised", category_from=bank.categories[category],
                      category_to=bank.categories[recat],
                      reason="受理部门复核后调整", user=bank.supervisor[0])
        elif late and chance() < 0.01:
            moment = due + 1 + int(0.5 * (end - due))
            if at < moment < min(cut, end):
                new_category = rng.choice(RECATEGORISED[cat])
                event(moment, "recategorised", category_from=bank.categories[category],
                      category_to=bank.categories[new_category], keeps=True,
                      reason="核查后类别调整，时限不变", user=bank.supervisor[0])

        # Not counted: merged, withdrawn, duplicate, out of scope; a contest comes later.
        excluded, exclusion, stops = None, None, None
        mid = days.at(last + (0.2 + 0.6 * chance()) * max(end_w - last, 600))
        draw = chance()
        if merged:
            excluded, exclusion = days.at(received_w + 600 + 0.5 * WORK * chance()), "merged"
            excluded = max(excluded, at + 300)
            stops = excluded
        elif limit and draw < 0.02 and way and at < mid < due:
            verified = days.at(days.work(mid) + (0.2 + (2.6 if chance() < 0.93 else 5) * chance()) * WORK)
            result = "pressured" if chance() < 0.06 else "voluntary"
            if mid < cut:
                out["withdrawal"].append((cid, 1, mid, told(verified), result if verified < cut else None, accepting_id,
                                          texts.PRESSURED if result == "pressured" and verified < cut
                                          else rng.choice(texts.WITHDRAWN)))
            if result == "voluntary":
                stops = mid
                if verified < cut:
                    excluded, exclusion = mid, "withdrawn"
        elif late and draw < 0.08 and way and draw > 0.03:
            mid = due + 3600 + int(0.6 * (end - due))
            if due < mid < end:
                if mid < cut:
                    out["withdrawal"].append((cid, 1, mid, told(end), "voluntary" if end < cut else None, accepting_id,
                                              rng.choice(texts.WITHDRAWN)))
                if end < cut:
                    excluded, exclusion = mid, "withdrawn"      # the database makes it "withdrawn_late"
        elif limit and 0.9 < draw < 0.911 and at < mid < due:
            excluded, exclusion = mid, "duplicate" if draw < 0.9055 else "out_of_scope"
            if draw > 0.9105 and mid + DAY < min(end, cut):     # taken back the next day
                event(mid, "excluded", params='{"why": "out_of_scope"}')
                event(mid + DAY, "restored", was_at=mid, reason="复核后恢复办理", user=bank.supervisor[0])
                excluded = exclusion = None
            else:
                stops = excluded
        if excluded is not None:
            if excluded >= cut:
                excluded = exclusion = None
            elif not (exclusion == "withdrawn" and late and excluded > due):
                event(excluded, "excluded", params=f'{{"why": "{exclusion}"}}')

        # The answer, to the customer and to the unit it came from.
        handler, said = rng.choice(self.people), None
        who = rng.choice(self.people) if chance() < NAMED.get(category, 0.05) else None
        if who == handler:
            who = None
        anonymous = category == "anonymous"
        customer = office = filed = closed = None
        marks = []
        if stops is None:
            if anonymous:
                office, customer = (end, None) if source_unit else (None, None)
                filed = end if not source_unit else days.at(end_w + WORK * 3 * chance())
            else:
                customer = end
                if source_unit:
                    office = end
                    gap = min(rng.expovariate(1 / (0.25 * WORK)) if not (late and chance() < 0.25) else 3 * WORK,
                              0.8 * (end_w - last))
                    if chance() < 0.9:
                        customer = min(max(days.at(end_w - gap), at + 600), end)
                    else:
                        office = min(max(days.at(end_w - gap), at + 900), end)
                filed = days.at(end_w + (0.5 + 4 * chance()) * WORK)
            if limit and way and customer and chance() < 0.01 and end_w - last > 1.5 * WORK:
                # Found wanting: back for redo, and the clock went on.
                first = days.at(last + 0.4 * (end_w - last))
                back = days.at(last + 0.6 * (end_w - last))
                if at < first < back < min(end, cut) and first < customer:
                    event(first, "replied_customer")
                    event(first + 60, "done")
                    event(back, "returned", unit_to=holder, was_at=first, reason=rng.choice(texts.RETURNED),
                          user=bank.supervisor[0])
                    out["reply"].append((cid, 1, first, "经核查情况属实", None, None, None, f"{day_of(first):%Y年%-m月%-d日}",
                                         handler, about.contacts[0][1], "{}", None))
                    said = 2
        if chance() < 0.0008 and end < cut and excluded is None and channel != "comment_book":
            # Dirt: closed seconds before it came.
            closed, customer, office, filed = at - rng.randrange(2, 50), None, None, None
            marks.append("closed_before_received")
        event(customer, "replied_customer")
        event(office, "replied_office")
        done = told(end) if stops is None and not closed else None
        event(done, "done")
        event(filed, "filed")
        if exclusion and excluded is not None and stops is not None:
            filed = days.at(days.work(excluded) + 2.5 * WORK)
        read = None
        if channel == "comment_book" and chance() < 0.97:
            read = at // DAY * DAY + 63_000 + rng.randrange(1800) + (DAY if chance() < 0.03 else 0)
            if read <= at:
                read += DAY
            if done is not None:
                read = min(read, max(done - 300, at + 30))
            event(read, "read")

        # Words.
        pool = self.matters[category]
        if about.name == CARDS and category == "service_product":
            pool = self.of_cards
        elif about.name == E_BANK and category == "service_channel":
            pool = self.of_e_bank
        title, text, demand = rng.choice(texts.BURST if burst else pool)
        amount = None
        if "{amount}" in text:
            amount = round(rng.lognormvariate(8.0, 1.6), 2)
            amount = int(amount) if amount > 500 else amount
        if before:
            title, demand = before[5], "重新核查并书面答复"
            text = f"客户{day_of(before[1]):%-m月%-d日}曾反映“{title}”（编号{before[6]}），对处理结果不认可，再次投诉。"
            title = title if title.startswith("再次投诉：") else f"再次投诉：{title}"
        phone = before[7] if before else f"140{rng.randrange(10 ** 8):08d}"        # a prefix no person has
        name = before[8] if before else rng.choice(self.people)
        id_no = None
        if chance() < 0.25:                                     # of no place there is, and with a wrong check digit
            birth = f"{1950 + rng.randrange(55)}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}"
            id_no = f"990000{birth}{rng.randrange(1000):03d}X"
        about_day = day_of(at - int(rng.expovariate(1 / 4)) * DAY)
        words = {"day": f"{about_day.month}月{about_day.day}日", "amount": f"{amount:,}" if amount else "",
                 "place": about.name, "app": rng.choice(texts.APPS), "staff": who or "某员工", "minutes": rng.randrange(25, 150)}
        text = rng.choice(texts.OPENINGS) + text.format_map(words) + rng.choice(texts.ENDINGS)
        if chance() < 0.04 and not anonymous:
            text += f"联系电话{phone}" + (f"，身份证号{id_no}。" if id_no else "。")
        if chance() < 0.0006:
            title = ""
        reasons = [r for r, p in (("public_figure", 0.0012), ("sensitive", 0.002),
                                  ("reputation", 0.002 if channel != "media" else 0.4)) if chance() < p]
        kind = self.kind() if channel == "government" else None
        level = self.media() if channel == "media" else 0
        source_due = None
        if channel == "government" and chance() < 0.3:
            source_due = (at // DAY + 15) * DAY + DAY - 1
        if chance() < 0.0006:
            source_due = seconds(date(2059, 12, 31)) + DAY - 1
            marks.append("far_limit")
        flag = anonymous or chance() < 0.004
        ours = rng.choices(("ours", "customer", "both", "none"), (52, 20, 15, 13))[0] if done else None
        heard = rng.choice(texts.HEARD)
        reply = ""
        if (done or (told(customer) and stops is None)) and not anonymous:
            when = told(office) or told(customer)
            cause = rng.choice(texts.CAUSES)
            reply = rng.choice(texts.FACTS).format(t=title.removeprefix("再次投诉：") or "所述", c=cause)
            treated = rng.choice(texts.TREATED) if who and ours in ("ours", "both") else None
            absent = [2] if treated is None else []
            lessons = rng.choice(texts.LESSONS)
            if ours in ("customer", "none"):
                absent.append(3)
                lessons = None
            answer = [reply, treated, lessons, heard, f"{day_of(at):%Y年%-m月%-d日}—{day_of(when):%-m月%-d日}", handler,
                      about.contacts[0][1]]
            if chance() < 0.075:
                gap = rng.choice((0, 2, 3, 3, 4, 6))
                answer[gap] = None
                absent = [a for a in absent if a != gap + 1]
            out["reply"].append((cid, said or 1, when, *answer, "{" + ",".join(map(str, absent)) + "}",
                                 texts.NOT_APPLICABLE if absent else None))

        self.serial = self.serial + 1 if self.day == at // DAY else 1
        self.day = at // DAY
        number = f"{day_of(at):%Y%m%d}-{self.serial:04d}"
        person_hash = None if flag else "\\\\x" + blake2b((name + phone).encode(), digest_size=16).hexdigest()
        demanded = round(amount * rng.choice((1, 1, 1.2, 2))) if amount and chance() < 0.5 else None
        out["complaint"].append((
            cid, number, at, min(at + rng.randrange(60, 1500), cut - 1), told(dispatched), told(read),
            told(customer), told(office), closed, told(filed), excluded, exclusion, bank.channels[channel], kind,
            bank.categories[new_category or category], bank.categories[category],
            accepting_id, source_unit, holder, accepting_id, about_id, handler if moved or not way else None, who,
            title, amount, demanded, bool(reasons), "{" + ",".join(reasons) + "}",
            flag, chance() < 0.2 if anonymous else None, level,
            again[0] if again else None, merged[0] if merged else None, person_hash,
            ours, rng.choice(("customer", "customer", "unit", "both")) if done else None,
            heard.startswith("客户仍") if done else None, source_due, "{" + ",".join(marks) + "}"))
        out["complaint_text"].append((cid, text, demand, reply))
        if not flag:
            out["complainant"].append((cid, name, phone, id_no))
        if category not in ("financial_crime", "anonymous") and not unmapped:
            self.recent.append((cid, at, done, category, about, title.removeprefix("再次投诉：") or "前次反映事项", number, phone,
                                name))
            if len(self.recent) > 12_000:
                del self.recent[:6000]

        major = bool(reasons) or bool(amount and amount > 50_000)
        if (major or level or kind in ("regulator", "central_bank")) and not merged:
            self.noticed(cid, at, received_w, holder, major or level > 1, told)
        if late and stops is None and not closed:
            self.lateness(cid, due, end, end_w, limit, holder, moved, accepting_id, about, told)
        elif due and chance() < 0.03 and way:
            self.urge(cid, 1, (days.ordinal(due) - 1) * WORK - 0.5 * WORK, end, end_w, moved, accepting_id, about)
        if done:
            self.after(cid, done, end_w, late, anonymous or flag, holder, ours, told)

    def noticed(self, cid, at, received_w, holder, reported, told) -> None:
        """Leaders write on it, and major problems go to the local regulator."""
        rng, days, out = self.rng, self.bank.days, self.out
        if rng.random() < 0.13:
            moment = days.at(received_w + (0.3 + 1.5 * rng.random()) * WORK)
            if at < moment < self.bank.cut:
                due = days.day[days.ordinal(moment) + 3] * DAY + DAY - 1
                out["directive"].append((cid, 1, moment, rng.choice(texts.LEADERS), rng.choice(texts.DIRECTIVES), due,
                                         told(days.at(days.work(moment) + (0.5 + rng.expovariate(0.6)) * WORK))))
        if reported and rng.random() < 0.5:
            moment = days.at(received_w + (0.2 + 2 * rng.random()) * WORK)
            if at < moment < self.bank.cut:
                receipt = days.at(received_w + (3 + rng.expovariate(0.4)) * WORK) if rng.random() < 0.99 else None
                out["regulator_report"].append((cid, moment, told(receipt)))

    def lateness(self, cid, due, end, end_w, limit, holder, moved, accepting_id, about, told) -> None:
        """Past the limit: a reason may be reported, the office urges step by step, the unit may contest."""
        rng, days, out, cut = self.rng, self.bank.days, self.out, self.bank.cut
        due_w = days.ordinal(due) * WORK
        delayed = rng.random() < (0.45 if limit > 3 else 0.3)
        if delayed:
            w = due_w + (rng.random() * 2 - 0.8) * WORK
            moment = days.at(w)
            if moment < min(end, cut):
                explained = told(moment + rng.randrange(600, 9000)) if rng.random() < 0.7 else None
                out["delay"].append((cid, 1, moment, rng.choice(texts.DELAYS), explained))
        if rng.random() < 0.25:
            self.urge(cid, 1, due_w - 1.4 * WORK, end, end_w, moved, accepting_id, about)
        for level, after, share in ((2, 0.1, 0.8), (2, 2.2, 0.7), (3, 3.1, 0.75), (4, 5.2, 0 if delayed else 0.7),
                                    (2, 7.1, 0.5), (3, 9.2, 0.5)):
            if rng.random() < share:
                self.urge(cid, level, due_w + after * WORK, end, end_w, moved, accepting_id, about)
        if rng.random() < 0.1:
            w = due_w + (1 + 3 * rng.random()) * WORK
            asked, decided = days.at(w), days.at(w + (1.5 + 6 * rng.random()) * WORK)
            upheld = rng.random() < 0.3
            if asked < cut:
                known = decided < cut
                out["contest"].append((cid, 1, asked, holder, rng.choice(texts.CONTESTED), told(decided),
                                       upheld if known else None, texts.DECIDED[not upheld] if known else None))
                row = out["complaint"][-1]
                if upheld and decided < cut and row[10] is None and row[11] is None:
                    out["complaint"][-1] = (*row[:10], decided, "contest", *row[12:])
                    out["event"].append((cid, decided, "excluded", None, None, None, None, None, False, None,
                                         '{"why": "contest"}', self.bank.supervisor[0]))

    def urge(self, cid, level, w, end, end_w, moved, accepting_id, about) -> None:
        """One urge, if the complaint is still open then; most are signed for within a working day, some never."""
        rng, days, cut = self.rng, self.bank.days, self.bank.cut
        w += 0.7 * WORK * rng.random()
        sent = days.at(w)
        if not (moved[0][0] if moved else 0) < sent < min(end, cut):
            return
        unit = [u for moment, u in moved if moment < sent][-1] if moved else accepting_id
        rank = 2 if level > 2 and rng.random() < 0.3 else 1
        contact, phone = about.contacts[rank - 1]
        by_phone = level == 2 and rng.random() < 0.2
        signed = answered = promised = answer = None
        if by_phone or rng.random() < 0.95:
            signed = sent + 60 if by_phone else days.at(w + rng.expovariate(2.2) * WORK)
            if rng.random() < 0.75:
                answered, answer = days.at(days.work(signed) + rng.expovariate(1.6) * WORK), rng.choice(texts.ANSWERS)
            if rng.random() < (0.9 if by_phone else 0.4 if answered else 0) and level > 1:
                promised = day_of(days.day[days.ordinal(sent) + rng.choice((1, 2, 2, 3))] * DAY)
        signed, answered = (t if t is not None and t < cut else None for t in (signed, answered))
        letter = None
        if level == 3:
            year = day_of(sent).year
            self.letters[year] = self.letters.get(year, 0) + 1
            letter = f"督办函〔{year}〕第{self.letters[year]}号"
        moved_at = min([t for t in (answered, end if end < cut else None) if t is not None], default=None)
        self.out["urge"].append((cid, level, sent, unit, rank, contact, phone, "telephone" if by_phone else "message",
                                 contact if by_phone else None,
                                 rng.choice(texts.URGED) or None, letter, *self.bank.supervisor, signed, answered,
                                 answer if answered else None,
                                 promised if by_phone or answered else None, moved_at))

    def after(self, cid, done, end_w, late, quiet, holder, ours, told) -> None:
        """After the answer: call-backs by the unit and by the office, some reopened, some rectified."""
        rng, days, out, cut = self.rng, self.bank.days, self.out, self.bank.cut
        calls = []
        if not quiet:
            if rng.random() < 0.4:
                calls.append((end_w + (0.5 + 6 * rng.random()) * WORK, "unit", None))
            if rng.random() < 0.25:
                w = end_w + (0.6 + 7 * rng.random()) * WORK
                reached = rng.random() < 0.55
                calls.append((w, "office", reached))
                if not reached and rng.random() < 0.5:
                    calls.append((w + WORK, "office", rng.random() < 0.35))
        calls.sort(key=lambda call: call[0])
        no = 0
        for w, whom, reached in calls:
            moment = days.at(w)
            if moment >= cut:
                break
            if whom == "unit":
                reached, odds = rng.random() < 0.9, (88, 9.5, 2.5)
            else:
                odds = (44, 28, 28) if late else (63, 26, 11)
            no += 1
            score = rng.choices(("satisfied", "basically", "dissatisfied"), odds)[0] if reached else None
            outcome = "answered" if reached else rng.choices(("unreachable", "refused", "wrong_number"), (80, 14, 6))[0]
            words = (rng.choice(texts.WORDS[score]) or None) if reached else None
            user = self.bank.supervisor[0] if whom == "office" else None
            out["call_back"].append((cid, no, moment, whom, outcome, score, words, user))
        if rng.random() < 0.012 and not quiet:
            start_w = end_w + (2 + 12 * rng.random()) * WORK
            start = days.at(start_w)
            if start < cut:
                wait = (0.4 + 2.4 * rng.random() if rng.random() < 0.88 else 3.5 + 5 * rng.random()) * WORK
                reason, excluded = rng.choice(texts.REOPENED), out["complaint"][-1][10]
                if excluded is None or excluded > start:       # what a contest took out of the count is not opened again
                    out["redo"].append((cid, 1, start, told(days.at(start_w + wait)), reason))
        if ours in ("ours", "both") and rng.random() < 0.04:
            out["rectification"].append((cid, 1, holder, rng.choice(texts.MEASURES), day_of(days.at(end_w + 20 * WORK)),
                                         told(days.at(end_w + (8 + 16 * rng.random()) * WORK))))
