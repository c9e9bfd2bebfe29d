"""One complaint in words: the finding about its limit, the strip of days, its history, what to do next. Pure."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd

from dashboard import charts, forms, periods, tables, words
from dashboard.context import midnight
from dashboard.listing import whole as whole_number
from dashboard.words import literal, t

ICONS = {"A": ":material/check_circle:", "B": ":material/history:", "C": ":material/hourglass_empty:",
         "D": ":material/timelapse:",
         "E": ":material/schedule:", "X": ":material/remove_circle_outline:", "N": ":material/all_inclusive:"}
COLOURS = {"B": "red", "D": "orange", "E": "red"}
CLOCKS = {"r": "reply", "d": "dispatch", "s": "source", "o": "redo", "w": "withdrawal", "k": "call_back"}
ELEMENTS = ("facts", "person_treated", "lessons", "satisfaction", "handled", "handler", "telephone")
WIDEST = 46  # days that a strip has room for
CLOSE = 0.2  # share of the strip within which two of its words have no room side by side
FOLDED = ("urge_acknowledged",)  # events that stand in another row's result


class Advice(NamedTuple):
    """What to do now: the sentence, and the act of the first button (a level of the urge, "telephone" or None)."""

    words: str
    act: int | str | None


# -- the address ----------------------------------------------------------------------------------------------------

def where(params: Mapping[str, str], today: date, zone: ZoneInfo) -> dict:
    """What the list was asked with, as its page wrote it into the address."""
    period = periods.parse(params.get("period", "last_week"), params.get("from"), params.get("to"),
                           today) or periods.parse("last_week", None, None, today)
    place = {name: whole_number(params.get(name)) for name in ("unit", "category", "channel")}
    return {"start": midnight(period.start, zone), "end": midnight(period.end, zone), **place, "zone": zone.key}


# -- the finding ----------------------------------------------------------------------------------------------------

def finding(c: Mapping, zone: ZoneInfo, as_of: datetime) -> str:
    """Where it stands with its limit, and whose reply is missing; Markdown."""
    state = c["state"]
    if state == "X":
        return t("complaint.finding_excluded", reason=words.name("exclusion", c["exclusion"]))
    if state == "N":
        ended = _has(c["ended_at"]) and c["ended_at"] <= as_of
        return (t("complaint.finding_no_limit_done", day=_day(c["ended_at"], zone), n=whole(c["days_used"])) if ended
                else t("complaint.finding_no_limit", n=whole(c["days_open"])))
    if state in ("A", "B"):
        key = "kept" if state == "A" else "done_late" if c["days_late"] else "done_late_under_one"
        values = {"day": _day(c["ended_at"], zone), "limit": limit_words(c, zone), "used": whole(c["days_used"]),
                  "n": whole(c["days_late"])}
        return t(f"complaint.finding_{key}", **values)
    answer = answer_words(c, zone)
    if state == "E":
        key = "late" if c["days_late"] else "late_under_one"
        return t(f"complaint.finding_{key}", limit=limit_words(c, zone), n=whole(c["days_late"]), answer=answer)
    left = forms.days_left(c) or 0
    today = _day(c["due_at"], zone) == _day(as_of, zone)
    key = "last_day" if today else "soon" if state == "D" else "open"
    return t(f"complaint.finding_{key}", limit=limit_words(c, zone), n=left, answer=answer)


def limit_words(c: Mapping, zone: ZoneInfo) -> str:
    """3月16日（第10个工作日）24时, as Markdown; without the count where the limit is not one of working days."""
    due = c["due_at"].astimezone(zone)
    if c["due_from"] != "p" or pd.isna(c["due_ord"]) or (due.hour, due.minute) != (23, 59):
        return f"**{words.deadline(c['due_at'], zone)}**"
    return t("complaint.limit_nth", day=due.date(), nth=int(c["due_ord"] - c["started_ord"]))


def answer_words(c: Mapping, zone: ZoneInfo) -> str:
    """Which reply is missing. The clock ends when the customer and, if there is one, the source unit have the reply."""
    customer, office = _has(c["customer_replied_at"]), _has(c["office_replied_at"])
    if not _has(c["source_unit_id"]):
        return t("complaint.answer_no_customer")
    if customer:
        return t("complaint.answer_no_source", day=_day(c["customer_replied_at"], zone))
    return t("complaint.answer_only_source", day=_day(c["office_replied_at"],
                                                      zone)) if office else t("complaint.answer_none")


def badges(c: Mapping, urges: pd.DataFrame, directed: bool, marked: bool = False) -> str:
    """State with its icon and word, then the marks; ``directed``: a leader has written on it; ``marked``: 重点关注."""
    state, colour = c["state"], COLOURS.get(c["state"], "gray")
    late = f" {words.working_days(whole(c['days_late']))}" if state == "E" and c["days_late"] else ""
    made = [f":{colour}-badge[{ICONS[state]} {t(f'state.{state}')}{late}]"]
    made += [f":gray-badge[:material/flag: {t('flag.marked')}]"] if marked else []
    made += [f":gray-badge[{literal(flag)}]" for flag in flags(c, directed)]
    kind = {"s": "complaint.simple", "c": "complaint.complex"}.get(c["complexity"])
    made += [f":gray-badge[{t(kind)}]"] if kind else []
    last = urges.iloc[0] if len(urges) else None
    if last is not None and state in "CDE" and last["via"] == "message" and not _has(last["acknowledged_at"]):
        made.append(f":gray-badge[{t('complaint.unsigned')}]")
    if c["provisional"]:
        made.append(f":orange-badge[{t('flag.provisional')}]")
    return " ".join(made)


def marked(events: pd.DataFrame) -> bool:
    """Whether it is marked 重点关注: the last word on it counts; events as ``complaints.timeline`` gives them, latest first."""
    said = events.loc[events["code"] == "marked", "params"]
    return bool(len(said)) and bool(said.iloc[0].get("on"))


def flags(c: Mapping, directed: bool) -> list[str]:
    """The marks of a complaint as words."""
    held = {"major": c["major"], "media": c["media_level"] > 0, "regulator": c["channel_kind"] in ("regulator",
                                                                                                   "central_bank"),
            "directive": directed, "repeat": _has(c["repeat_of"]), "anonymous": c["anonymous"]}
    return tables.flags([name for name, is_so in held.items() if is_so])


def facts(c: Mapping, category: Callable, channel: Callable, zone: ZoneInfo, as_of: datetime) -> str:
    """编号 … 考核归属 … 受理 …, as Markdown; the year where it is not this one."""
    none, received = t("unit.none"), c["received_at"].astimezone(zone)
    values = {"number": literal(c["complaint_no"]), "accountable": unit(c, "charged"), "complained": unit(c, "about"),
              "responsible": unit(c, "unit"), "category": literal(category(c["category_id"]) or none),
              "channel": literal(channel(c["channel_id"]) or none),
              "received": words.moment(received, zone, long=received.year != as_of.astimezone(zone).year)}
    if _has(c["amount"]):
        values["amount"] = words.number(float(c["amount"]), 2)
    return "　".join(f":gray[{t(f'complaint.{name}')}] {value}" for name, value in values.items())


def unit(c: Mapping, side: str) -> str | None:
    """The name of one of the complaint's units, as Markdown; None where it has none."""
    name = (words.language() == "en" and c[f"{side}_en"]) or c[side]
    return literal(name) if isinstance(name, str) else None


def customer_words(c: Mapping, customer: Mapping | None) -> str:
    """The customer, masked by the database."""
    if c["anonymous"]:
        return t("complaint.anonymous")
    known = [customer[name] for name in ("name", "phone") if _has(customer[name])] if customer is not None else []
    return literal("　".join(known)) if known else t("complaint.no_customer")


def number(value: object) -> int | None:
    return int(value) if _has(value) else None


# -- the strip of days ----------------------------------------------------------------------------------------------

def strip(trace: pd.DataFrame, zone: ZoneInfo, *, day_zero: bool, ended: datetime | None = None,
          late: int = 0) -> tuple[list[dict], list[tuple]]:
    """Days and marks for ``charts.limit_strip`` from ``clocks.explain(…)["trace"]``; a long one loses its middle."""
    end = ended.astimezone(zone).date() if ended is not None else None
    days = trace.reset_index(drop=True)
    at = {mark: next((i for i, marks in enumerate(days["marks"]) if mark in marks.split(",")), None)
          for mark in ("received", "target", "limit", "today")}
    if end is not None:  # a done complaint is not counted on
        days = days[(days["day"] <= end) | (days.index <= (at["limit"] or 0))]
        at["done"] = next((i for i, one in zip(days.index, days["day"]) if one == end), None)
    kept = _kept(len(days), [at["limit"] or 0])
    cells, place, months = [], {}, None
    for i in kept:
        if i is None:
            cells.append({"label": "…", "kind": charts.NOT_COUNTED, "text": "…",
                          "hover": t("complaint.trace_left_out")})
            continue
        row = days.iloc[i]
        place[i] = len(cells)
        label = f"{words.month(row['day'])}<br>{row['day'].day}" if row["day"].month != months else str(row["day"].day)
        months = row["day"].month
        cells.append({"label": label, **_cell(row, i, at, day_zero)})
    return cells, _marks(days, place, at, day_zero, end is None, late, cells)


def rows(days: list[dict], marks: list[tuple], places: int) -> list[tuple[list[dict], list[tuple]]]:
    """The strip cut into rows of so many days, each with the marks that fall into it."""
    return [(days[first:first + places], [(where - first, text, tone) for where, text, tone in marks
                                          if first - 0.5 <= where < first + places - 0.5])
            for first in range(0, len(days), places)]


def _kept(count: int, around: list[int]) -> list[int | None]:
    """The days shown; None stands for a stretch that is left out."""
    if count <= WIDEST:
        return list(range(count))
    near = {i for middle in around for i in range(middle - 6, middle + 7)}
    shown = [i for i in range(count) if i < 16 or i >= count - 10 or i in near]
    made: list[int | None] = []
    for i in shown:
        if made and made[-1] is not None and made[-1] != i - 1:
            made.append(None)
        made.append(i)
    return made


def _cell(row: Mapping, i: int, at: Mapping, day_zero: bool) -> dict:
    day = words.day(row["day"])
    if not pd.isna(row["late"]):
        return {"kind": charts.LATE_DAY, "text": f"+{row['late']}", "hover": t("complaint.trace_cell_late", day=day,
                                                                               n=int(row["late"]))}
    if i == at["limit"]:
        kind = charts.LIMIT
    elif pd.isna(row["count"]) or (i == 0 and not day_zero):
        kind = charts.NOT_COUNTED
    else:
        kind = charts.PAST_TARGET if at["target"] is not None and i > at["target"] else charts.COUNTED
    if pd.isna(row["count"]):
        why = charts.plain(row["name"]) or t({"weekend": "complaint.trace_weekend",
                                "holiday": "complaint.trace_holiday_plain"}.get(row["kind"], "complaint.trace_weekend"))
        return {"kind": kind, "text": "", "hover": t("complaint.trace_cell_not", day=day, why=why)}
    hover = t("complaint.trace_cell_zero", day=day) if i == 0 and not day_zero else t("complaint.trace_cell_counted",
                                                                                      day=day, n=int(row["count"]))
    return {"kind": kind, "text": str(row["count"]), "hover": hover}


def _marks(days: pd.DataFrame, place: Mapping[int, int], at: Mapping, day_zero: bool, running: bool, late: int,
           cells: list[dict]) -> list[tuple]:
    """What is written above the cells."""
    first = days.iloc[0]["day"]
    made = [(0, t("complaint.trace_received" if not day_zero else "complaint.trace_received_counts", day=first), "")]
    for i, row in zip(days.index, days.itertuples()):
        if row.kind == "makeup" and i in place and i != at["limit"]:
            made.append((place[i], t("complaint.trace_makeup", n=row.day.day), ""))
    for name, run in _holidays(days):
        name = charts.plain(name)
        shown = [place[i] for i in run if i in place]
        if shown:
            one, last = days.loc[run[0], "day"], days.loc[run[-1], "day"]
            text = t("complaint.trace_holiday_day", name=name, first=one.day) if one == last else \
                t("complaint.trace_holiday", name=name, first=one.day,
                  last=last.day if one.month == last.month else words.day(last))
            made.append(((shown[0] + shown[-1]) / 2, text, ""))
    if at["target"] in place and at["target"] != at["limit"]:
        row = days.loc[at["target"]]
        made.append((place[at["target"]], t("complaint.trace_target", n=row["day"].day, nth=whole(row["count"])), ""))
    limit = (place[at["limit"]], _limit_mark(days.loc[at["limit"]]), "strong") if at["limit"] in place else None
    last = None
    if running and at["today"] in place:
        last = (place[at["today"]], t("complaint.trace_today_late", n=late) if late else t("complaint.trace_today"),
                "late" if late else "strong")
    elif not running and at.get("done") in place:
        last = (place[at["done"]], t("complaint.trace_done"), "strong")
    if limit and last and abs(last[0] - limit[0]) / len(cells) < CLOSE:  # they would run into each other
        return [*made, (last[0], t("complaint.trace_both", first=limit[1], second=last[1]), last[2])]
    return [*made, *filter(None, (limit, last))]


def _limit_mark(row: Mapping) -> str:
    return t("complaint.trace_limit_day", day=row["day"]) if pd.isna(row["count"]) else t("complaint.trace_limit",
                                                                                          day=row["day"],
                                                                                          nth=int(row["count"]))


def _holidays(days: pd.DataFrame) -> list[tuple[str, list[int]]]:
    """Runs of days that do not count and among which a holiday lies: its name and the days."""
    runs, run = [], []
    for i, row in zip(days.index, days.itertuples()):
        if not row.working:
            run.append((i, row.name if row.kind == "holiday" else ""))
        if row.working or i == days.index[-1]:
            if name := next((one for _, one in run if one), ""):
                runs.append((name, [j for j, _ in run]))
            run = []
    return runs


def basis(found: Mapping) -> str:
    """依据: rule, version, effective date, whether the day of receipt counts, the calendar; from ``clocks.explain``."""
    rule, calendar, span = found["rule"], found["calendar"], found["span"]
    english = words.language() == "en"
    amount, unit, target = rule["amount"], rule["unit"], rule["rule_target"]
    if span["due_from"] == "s":
        how = t("complaint.trace_rule_source")
    elif span["due_from"] == "l":
        how = t("complaint.trace_rule_moved")
    elif amount is None or found["limit"] is None:
        how = t("complaint.trace_rule_none")
    elif unit == "c":
        how = t("complaint.trace_rule_days", n=amount)
    elif unit == "h":
        how = t("complaint.trace_rule_hours", n=amount)
    else:
        how = t("complaint.trace_rule_complex", n=amount, target=target) if target else t("complaint.trace_rule_simple",
                                                                                          n=amount)
    year = (found["limit"] or found["received"]).year
    if calendar["status"] == "published" and calendar["code"] == "CN":
        days = t("complaint.trace_calendar_official", year=str(year))
    else:
        days = t("complaint.trace_calendar_estimated",
                 year=str(year)) if calendar["status"] == "estimated" else f"{calendar['code']} {year}"
    return t("complaint.trace_basis", policy=literal(rule["title_en"] if english else rule["title"]), rule=how,
             version=rule["version"],
             from_day=words.day_long(rule["effective_from"]), calendar=days,
             day_zero=t("complaint.trace_day_zero_counts" if rule["day_zero"] else "complaint.trace_day_zero_not"))


# -- what happened --------------------------------------------------------------------------------------------------

def timeline(events: pd.DataFrame, urges: pd.DataFrame, c: Mapping, zone: ZoneInfo, as_of: datetime,
             category: Callable[[object], str], trace: pd.DataFrame | None = None) -> pd.DataFrame:
    """Time, event, result, latest first, as Markdown; with the rows that the clock itself makes."""
    by_id = {int(one.urge_id): one for one in urges.itertuples()}
    turns = {int(one.urge_id): n + 1 for n, one in enumerate(sorted(urges.itertuples(),
                                                                    key=lambda one: (one.sent_at, one.urge_id)))}
    counted = _counts(trace)
    rows, sent, dispatched = [], {}, set(events.loc[events["code"] == "hop_sent", "at"])
    told = {(one or {}).get("urge") for one in events.loc[events["code"] == "urge_answered", "params"]}  # answers with a row of their own
    for e in events.iloc[::-1].itertuples():
        if e.code in FOLDED or (e.code == "dispatched" and e.at in dispatched):
            continue
        result = _who(e)
        if e.code == "urged":
            urge = by_id.get((e.params or {}).get("urge"))
            result = urge_result(urge, zone, answer=int(urge.urge_id) not in told) if urge else result
        elif e.code == "hop_sent" and _has(e.unit_to):
            sent[e.unit_to] = e.at
        elif e.code == "signed" and e.unit_to in sent and counted:
            stay = _between(counted, sent[e.unit_to], e.at, zone)
            result = result if stay is None else t("complaint.after_days", n=stay) if stay else t("complaint.same_day")
        rows.append((e.at, event_words(e, category, turns), result))
    ends = [c[name] for name in ("ended_at", "excluded_at") if _has(c[name])]
    for moment, key in ((c["target_at"], "event.target_passed"), (c["due_at"], "event.became_overdue")):
        same = key == "event.target_passed" and moment == c["due_at"]
        if _has(moment) and moment < as_of and not same and not any(end <= moment for end in ends):
            rows.append((moment, t(key), f":gray[{t('complaint.system')}]"))
    rows.sort(key=lambda row: row[0], reverse=True)
    return pd.DataFrame([(words.deadline(at, zone), what, result) for at, what, result in rows],
                        columns=["time", "event", "result"])


def event_words(e, category: Callable[[object], str], turns: Mapping[int, int]) -> str:
    """One event in words, as Markdown."""
    params = e.params if isinstance(e.params, dict) else {}
    unit_to, unit_from = _unit(e, "unit_to"), _unit(e, "unit_from")
    if e.code == "urged":
        level = t(forms.LEVEL_WORDS.get(params.get("level"), "urge.notice"))
        if params.get("via") == "telephone":
            what = t("event.telephoned", who=literal(params.get("spoke_to") or params.get("contact") or t("unit.none")))
        else:
            what = t("event.urged_to", level=level, nth=turns.get(params.get("urge"), 1),
                     contact=literal(params.get("contact") or t("overdue.no_contact")))
        what += f" {literal(params['letter'])}" if params.get("letter") else ""
        if params.get("promised"):
            what += t("event.promise", day=date.fromisoformat(params["promised"]))
        return what + _reason(e)
    named = {
        "received": ("event.received_at", {"unit": unit_to}), "hop_sent": ("event.sent_to", {"unit": unit_to}),
        "signed": ("event.signed_by", {"unit": unit_to}),
        "moved": ("event.moved_to", {"unit": unit_to, "before": unit_from}),
        "reassigned": ("event.reassigned_to", {"unit": unit_to, "before": unit_from}),
        "charged": ("event.charged_to", {"unit": unit_to}),
        "handler_changed": ("event.handler_to", {"person": literal(params.get("to") or t("unit.none"))}),
        "recategorised": ("event.category_to", {"before": literal(category(e.category_from)),
                                                "after": literal(category(e.category_to))}),
        "directive": ("event.directive_by", {"leader": literal(params.get("leader") or t("unit.none"))}),
        "contested": ("event.contested", {}),
        "contest_decided": (f"event.contest_{'upheld' if params.get('upheld') else 'refused'}", {}),
        "marked": (f"event.marked_{'on' if params.get('on', True) else 'off'}", {}),
        "excluded": ("event.excluded_why", {"why": words.name("exclusion", params.get("why"))}),
    }
    if e.code in named:
        key, values = named[e.code]
        what = t(key, **values)
        if e.code in ("moved", "reassigned", "hop_sent") and params.get("handler"):
            what += t("event.to_handler", person=literal(params["handler"]))
    elif e.code == "urge_answered":
        what = t("event.urge_answered") + (t("event.promise", day=date.fromisoformat(params["promised"])) if params.get("promised") else "")
    elif e.code == "called_back":
        answer = words.name("call_back", params.get("score") or params.get("outcome"))
        what = t("event.called_back_by", who=words.name("caller", params.get("by")), answer=answer)
    elif e.code == "withdrawal_verified":
        what = t("event.withdrawal_result", result=words.name("withdrawal", params.get("result")))
    else:
        what = words.name("event", e.code)
    return what + _reason(e)


def urge_result(urge, zone: ZoneInfo, answer: bool = True) -> str:
    """Signed for and answered, or not; without the ``answer`` where it has a row of its own."""
    if urge.via == "telephone":
        return f":gray[{literal(urge.who or '')}]"
    if _has(urge.acknowledged_at):
        made = t("urge.signed_at", moment=words.moment(urge.acknowledged_at, zone))
        return made + (t("urge.answer", words=literal(urge.answer)) if answer and isinstance(urge.answer, str) and urge.answer
                       else "")
    return f"**{t('urge.unsigned')}**" + (t("urge.sign_by", moment=words.deadline(urge.ack_due_at, zone))
                                          if _has(urge.ack_due_at) else "")


# -- what to do -----------------------------------------------------------------------------------------------------

def advice(c: Mapping, urges: pd.DataFrame, reported: bool, zone: ZoneInfo, as_of: datetime) -> Advice:
    """The next step of the ladder, by the limit, what was sent and whether it was signed for, what was promised."""
    state, today = c["state"], as_of.astimezone(zone).date()
    if state in "ABXN":
        return Advice(t("complaint.next_nothing"), None)
    last = urges.iloc[0] if len(urges) else None
    unsigned = last is not None and last["via"] == "message" and not _has(last["acknowledged_at"])
    if unsigned and _has(last["ack_due_at"]) and last["ack_due_at"] < as_of:
        return Advice(t("complaint.next_call"), "telephone")
    sent_today = {int(one.level) for one in urges.itertuples() if one.work_day == today}
    if state == "E" and c["days_late"] > 5 and not reported and forms.LETTER not in sent_today:
        return Advice(t("complaint.next_letter"), forms.LETTER)
    broken = last is not None and _has(last["promised_on"]) and last["promised_on"] < today
    if broken and state == "E" and forms.NOTICE not in sent_today:
        return Advice(t("complaint.next_promise", day=last["promised_on"]), forms.NOTICE)
    if sent_today:
        return Advice(t("complaint.next_wait"), None)
    if state == "E":
        return Advice(t("complaint.next_notice"), forms.NOTICE)
    if state == "D":
        return Advice(t("complaint.next_remind"), forms.REMINDER)
    return Advice(t("complaint.next_nothing"), None)


# -- the small tables -----------------------------------------------------------------------------------------------

def clock_rows(clocks: pd.DataFrame, urges: pd.DataFrame, zone: ZoneInfo, as_of: datetime) -> pd.DataFrame:
    """Every clock and how it stands: the day of its limit, then kept, late or due, as Markdown."""
    rows = [(t(f"complaint.clock_{CLOCKS[c.clock]}"), clock_words(c, zone, as_of)) for c in clocks.itertuples()
            if c.clock in CLOCKS]
    if len(urges) and _has(urges.iloc[0]["ack_due_at"]) and urges.iloc[0]["via"] == "message":
        last = urges.iloc[0]
        signed = last["acknowledged_at"] if _has(last["acknowledged_at"]) else None
        kept = signed is not None and signed <= last["ack_due_at"]
        late, today = signed or last["ack_due_at"] < as_of, _day(last["ack_due_at"], zone) == _day(as_of, zone)
        word = t("complaint.clock_kept") if kept else f":red[{t('complaint.clock_late')}]" if late else \
            f":orange[{t('complaint.clock_today')}]" if today else ""
        rows.append((t("complaint.clock_urge"), f"{words.deadline(last['ack_due_at'], zone)} {word}"))
    return pd.DataFrame(rows, columns=["clock", "words"])


def clock_words(c, zone: ZoneInfo, as_of: datetime) -> str:
    if c.state == "X":
        return f":gray[{t('state.X')}]"
    if not _has(c.due_at):
        return f":gray[{t('state.N')}]"
    day = _day(c.due_at, zone)
    if c.state == "A":
        return f"{words.day(day)} {t('complaint.clock_kept')}"
    if c.state in ("B", "E"):
        return f"{words.day(day)} :red[{words.late_by(whole(c.days_late))}]"
    if day == as_of.astimezone(zone).date():
        return f"{words.day(day)} :orange[{t('complaint.clock_today')}]"
    return f"{words.day(day)} :orange[{t('state.D')}]" if c.state == "D" else f"{words.day(day)} {t('state.C')}"


def contact_rows(contacts: pd.DataFrame, source: str | None, source_contacts: pd.DataFrame | None) -> pd.DataFrame:
    """Whom to ring: the three of the unit that has it, and the source unit; Markdown."""
    by_rank = {int(k.rank): k for k in contacts.itertuples()}
    rows = []
    for rank, key in ((1, "first_contact"), (2, "second_contact"), (3, "leader")):
        known = by_rank.get(rank)
        if known is not None or rank == 1:
            rows.append((t(f"complaint.{key}"), person_words(known) if known is not None
                         else t("complaint.no_contact")))
    if source:
        first = next((k for k in source_contacts.itertuples() if k.rank == 1),
                     None) if source_contacts is not None else None
        rows.append((t("complaint.source_unit"), source + (f"　{person_words(first)}" if first is not None else "")))
    return pd.DataFrame(rows, columns=["who", "what"])


def holder_rows(held: pd.DataFrame) -> pd.DataFrame:
    """Who had it, and for how many working days."""
    name = held["unit_en"].fillna(held["unit"]) if words.language() == "en" else held["unit"]
    return pd.DataFrame({"unit": name, "days": [t("complaint.days", n=whole(n)) for n in held["days"]]})


def person_words(known) -> str:
    return f"{literal(known.name)}　{tables.telephone(known.phone) if isinstance(known.phone, str) else ''}"


def elements(reply: Mapping | None) -> tuple[str, pd.DataFrame]:
    """The seven elements of the reply: the heading, and one row each, as Markdown."""
    if reply is None:
        return t("complaint.reply_none"), pd.DataFrame(columns=["element", "check", "content"])
    absent, rows = list(reply["not_applicable"] if reply["not_applicable"] is not None else []), []
    for n, name in enumerate(ELEMENTS, 1):
        text = reply[name] if isinstance(reply[name], str) else ""
        check = "has" if text else "not_applicable" if n in absent else "lacks"
        mark = f":gray[{t('complaint.not_applicable')}]" if check == "not_applicable" else t(f"complaint.{check}")
        content = literal(text or (reply["not_applicable_reason"] or "" if check == "not_applicable" else ""))
        rows.append((t(f"complaint.element_{n}"), mark, content, check))
    frame = pd.DataFrame(rows, columns=["element", "check", "content", "code"])
    have, na, lack = (int(frame["code"].eq(code).sum()) for code in ("has", "not_applicable", "lacks"))
    heading = t("complaint.reply_title", have=have, na=na, missing=lack) if lack else \
        t("complaint.reply_complete_na", have=have, na=na) if na else t("complaint.reply_complete")
    return heading, frame.drop(columns="code")


# -- small things ---------------------------------------------------------------------------------------------------

def _counts(trace: pd.DataFrame | None) -> dict[date, int]:
    """Working days counted up to each day of the trace."""
    if trace is None or trace.empty:
        return {}
    return dict(zip(trace["day"], trace["count"].ffill().fillna(0).astype(int)))


def _between(counted: Mapping[date, int], start: datetime, end: datetime, zone: ZoneInfo) -> int | None:
    a, b = counted.get(_day(start, zone)), counted.get(_day(end, zone))
    return b - a if a is not None and b is not None else None


def _who(e) -> str:
    return f":gray[{literal(e.who)}]" if isinstance(e.who, str) else ""


def _reason(e) -> str:
    return f"　:gray[{literal(e.reason)}]" if isinstance(e.reason, str) and e.reason else ""


def _unit(e, side: str) -> str:
    name, english = getattr(e, side), getattr(e, f"{side}_en")
    return literal(english if words.language() == "en" and isinstance(english, str)
                   else name) if isinstance(name, str) else t("unit.none")


def _day(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()


def _has(value: object) -> bool:
    return not (value is None or value is pd.NaT or value != value or value == "")


def whole(value: object) -> int:
    return 0 if pd.isna(value) else int(value)
