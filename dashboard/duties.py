"""What each role may do to the complaint that is open: the buttons, and one form for all of these acts.

The database says what is possible now (``acts.possible``); what somebody waits for comes first, and beside the buttons of the ladder the rest stands in a menu.
A form is a list of fields; its click reads every value into a local and then writes once, with the key that the form was opened with (forms.py).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from inspect import signature
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard import context, data, forms, links, periods, session, words
from dashboard.permissions import may
from dashboard.settings import settings
from dashboard.words import literal, t
from queries import acts


class Duty(NamedTuple):
    """An act: its icon, the fields of its form (a * where one must be filled), whether somebody waits for it, whether its form warns."""

    act: Callable
    icon: str
    fields: str
    waits: bool = False
    warns: bool = False


DUTIES: dict[str, Duty] = {
    "sign": Duty(acts.sign, "draw", "", waits=True),
    "answer": Duty(acts.answer, "reply", "words* promised", waits=True),
    "directive_answer": Duty(acts.directive_answer, "reply_all", "words*", waits=True),
    "dispatch": Duty(acts.dispatch, "send", "unit_id* handler", waits=True, warns=True),
    "withdrawal": Duty(acts.withdrawal, "undo", "choice* words", waits=True, warns=True),
    "decide": Duty(acts.decide, "gavel", "choice* words*", waits=True, warns=True),
    "rectify": Duty(acts.rectify, "build", "words*", waits=True),
    "handle": Duty(acts.handle, "task_alt", "words*", waits=True, warns=True),
    "directive": Duty(acts.directive, "edit_note", "words* answer_by", waits=True),
    "delay": Duty(acts.delay, "more_time", "words* told_at", warns=True),
    "contest": Duty(acts.contest, "balance", "words*", warns=True),
    "call_back": Duty(acts.call_back, "call", "choice* score words"),
    "send_back": Duty(acts.send_back, "replay", "words*", warns=True),
    "note": Duty(acts.note, "note_add", "words*"),
    "mark": Duty(acts.mark, "flag", "words"),
    "unmark": Duty(acts.unmark, "outlined_flag", "words"),
}
CHOICES = {"decide": ("upheld", "refused"), "withdrawal": ("voluntary", "pressured"), "call_back": ("answered", "unreachable", "refused", "wrong_number")}
SCORES = ("satisfied", "basically", "dissatisfied")
_TIME = re.compile(r"^(.*?)\s*(\d{1,2})[:：](\d{2})$")


def box(c: Mapping, row: pd.DataFrame, advice: str, act: int | str | None, place: str) -> None:
    """What to do now, in one place: what waits for this viewer, for whom urges the next step of the ladder, and the acts. Nothing where nothing can be done."""
    role, key = session.viewer().role, int(c["complaint_id"])
    now, urges = data.read(acts.possible, key), may(role, "urge")
    able = [name for name in DUTIES if name in now and may(role, name)]
    if not able and not urges:
        return
    links.section(t("complaint.next_step"))
    with st.container(border=True, gap="small"):
        ask = partial(_open, place, c, now)
        first, rest = [one for one in able if DUTIES[one].waits], [one for one in able if not DUTIES[one].waits]
        for line in (t(f"duty.{one}_waits") for one in first if words.has(f"duty.{one}_waits")):
            st.markdown(line)
        _buttons(first, ask, primary=act is None)
        if urges:
            forms.box(c, row, "" if first and act is None else advice, act, place)
            _menu(rest, ask)
        else:
            _buttons(rest, ask)


def _buttons(names: Sequence[str], ask: Callable[[str], None], primary: bool = False) -> None:
    """Two in a row; the first stands out."""
    for i in range(0, len(names), 2):
        with st.container(horizontal=True, gap="xsmall"):
            for name in names[i:i + 2]:
                st.button(t(f"duty.{name}"), icon=f":material/{DUTIES[name].icon}:", on_click=ask, args=(name,), width="stretch", key=f"duty_{name}",
                          type="primary" if primary and name == names[0] else "secondary")


def _menu(names: Sequence[str], ask: Callable[[str], None]) -> None:
    if names:
        key, chosen = f"duties_{words.language()}", {t(f"duty.{one}"): one for one in names}  # the browser sends words back: another language, another widget
        st.menu_button(t("duty.more"), list(chosen), icon=":material/more_horiz:", width="stretch", key=key, on_click=lambda: ask(chosen[st.session_state[key]]))


def _open(place: str, c: Mapping, now: Mapping[str, int], name: str) -> None:
    forms._begin({"kind": "duty", "place": place, "title": t(f"duty.{name}"), "draw": _form, "act": name, "id": int(c["complaint_id"]), "no": now[name],
                  "number": c["complaint_no"], "version": int(c["version"])})


def _form() -> None:
    form = st.session_state.get(forms._OPEN)
    if form is None:
        st.rerun()
    name, serial, zone = form["act"], form["serial"], ZoneInfo(settings().zone)
    about = data.read(acts.about, name, form["id"], form["no"]) if form["no"] else None
    if about:
        when = words.moment(about["at"], zone) if about["at"] else ""
        st.markdown(f":gray[{' '.join(filter(None, (when, literal(about['who'] or ''))))}]　{literal(about['words'] or t(f'duty.{name}_about'))}"
                    + (f"　:gray[{t('duty.until', day=words.deadline(about['due'], zone))}]" if about["due"] else ""))
    if DUTIES[name].warns:
        st.markdown(f":material/info: {t(f'duty.{name}_warns')}")
    with forms._typed(form):
        for field in DUTIES[name].fields.split():
            _field(name, field.rstrip("*"), serial, needed=field.endswith("*"))
        forms._buttons(form, t(f"duty.{name}_do") if words.has(f"duty.{name}_do") else t("duty.do", act=t(f"duty.{name}")), partial(_do, form))


def _field(name: str, field: str, serial: str, needed: bool) -> None:
    key = f"{field}_{serial}"
    label = t(f"duty.{name}_{field}") if words.has(f"duty.{name}_{field}") else t(f"duty.{field}")
    label = t("duty.required", label=label) if needed else label
    if field == "choice":
        named = {one: t(f"duty.{name}_{one}") for one in CHOICES[name]}
        st.radio(label, list(named), index=None, format_func=named.get, key=key)
    elif field == "score":
        scores = {one: words.name("call_back", one) for one in SCORES}
        st.radio(label, list(scores), index=None, format_func=scores.get, key=key, horizontal=True)
    elif field == "unit_id":
        names = context.known()[0]
        offered = [u.id for u in names.values() if u.active and u.kind != "unmapped"]
        st.selectbox(label, offered, index=None, format_func=lambda one: forms._path(one, names), key=key, placeholder=t("act.find_unit"))
    elif field == "words":
        st.text_area(label, key=key, max_chars=2000, height=110)
    else:
        hint = {"handler": "act.handler_hint", "told_at": "duty.moment_hint"}.get(field, "act.promise_hint")
        st.text_input(label, key=key, max_chars=60, placeholder=t(hint))


def _do(form: dict) -> None:
    """The click: every value into a local, then one write."""
    name, serial, zone = form["act"], form["serial"], ZoneInfo(settings().zone)
    today = data.as_of().astimezone(zone).date()
    values: dict[str, object] = {}
    for field in DUTIES[name].fields.split():
        field, needed = field.rstrip("*"), field.endswith("*")
        value = st.session_state.get(f"{field}_{serial}")
        value = value.strip() if isinstance(value, str) else value
        if needed and not value:
            forms._answer(form, problem=t({"choice": "act.no_choice", "unit_id": "act.no_unit"}.get(field, "act.no_words")))
            return
        if field in ("promised", "answer_by", "told_at"):
            read = read_moment(value, today, zone) if field == "told_at" else periods.read_date(value, today) if value else None
            if value and read is None:
                forms._answer(form, problem=t("act.bad_moment" if field == "told_at" else "act.bad_day"))
                return
            value = read
        values[field] = (value or "") if field == "words" else (value or None)
    more = {field: form[field] for field in ("no", "version") if field in signature(DUTIES[name].act).parameters}
    forms._commit(form, name, DUTIES[name].act, lambda outcome: [t("duty.done", act=t(f"duty.{name}"), number=literal(form["number"]))],
                  complaint_id=form["id"], **more, **values)


def read_moment(typed: str | None, today: date, zone: ZoneInfo) -> datetime | None:
    """A day, or a day and a time, as people type them: 3月10日 14:30; without a time the day's noon, of today the moment it began."""
    if not typed:
        return None
    timed = _TIME.match(typed)
    day = periods.read_date(timed[1] if timed else typed, today)
    if day is None or timed and not (int(timed[2]) < 24 and int(timed[3]) < 60):
        return None
    return datetime(day.year, day.month, day.day, *((int(timed[2]), int(timed[3])) if timed else (0 if day == today else 12, 0)), tzinfo=zone)
