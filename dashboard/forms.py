"""The acts as dialogs: urge one or many, note a call, reassign; those of each role to one complaint stand in duties.py.

A button opens a form (``on_click=forms.urge``), the page ends with ``forms.show(place)`` and begins with
``forms.said()``, which tells what came of the last act. A form makes its idempotency key once, when it is opened. The
click reads every value into a local and then writes once: every access to Streamlit is a point where a rerun may abort
the run. After an answer the key is a new one; after a broken connection it is kept, so that trying again can do the act
only once. What was typed stays.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from uuid import uuid4
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st
from sqlalchemy.exc import DBAPIError, OperationalError, TimeoutError

from dashboard import context, data, filters, links, periods, permissions, session, tables, words
from dashboard.settings import settings
from dashboard.words import literal, t
from queries import acts, complaints
from queries.db import NotAllowed

REMINDER, NOTICE, LETTER, NAMING = acts.LEVELS
LEVEL_WORDS = {REMINDER: "urge.reminder", NOTICE: "urge.notice", LETTER: "urge.letter", NAMING: "urge.naming"}
_OPEN, _SAID = "forms.open", "forms.said"  # session_state: the open form; what came of the last act
_NAMED = 6  # so many units are named in a preview


# -- to open, to show, to tell --------------------------------------------------------------------------------------

def urge(place: str, rows: pd.DataFrame, level: int | None = None, via: str = "message") -> None:
    """Open the urge form for rows of a list (``complaints.listing``); for on_click."""
    some = [{"id": int(r.complaint_id), "number": r.complaint_no, "unit": int(r.unit_id), "state": r.state,
             "late": _whole(r.days_late),
             "contact": r.contact, "phone": r.contact_phone, "reported": isinstance(r.delay_reason, str)}
             for r in rows.itertuples()]
    _begin({"kind": "urge", "place": place, "rows": some, "level": level or suggested(some), "via": via})


def reassign(place: str, row: Mapping) -> None:
    """Open the form to reassign one complaint; ``row``: complaint_id, complaint_no and version as they were drawn."""
    _begin({"kind": "reassign", "place": place, "id": int(row["complaint_id"]), "number": row["complaint_no"],
            "version": int(row["version"])})


def show(place: str) -> None:
    """The open form, if it was opened here. The last line of a page with acts."""
    form = st.session_state.get(_OPEN)
    if form and form["place"] != place:  # left with the Back button
        del st.session_state[_OPEN]
    elif form:
        draw = {"urge": _urge_form, "reassign": _reassign_form}.get(form["kind"]) or form["draw"]
        title = form.get("title") or (t("act.telephone") if form.get("via") == "telephone" else t(f"act.{form['kind']}_title"))
        st.dialog(title, width="medium" if form["kind"] == "reassign" else "small", on_dismiss=_close)(draw)()


def said() -> frozenset[int]:
    """Tell what came of the last act, once; the complaints it was done to."""
    lines, done = st.session_state.get(_SAID) or ((), frozenset())
    for line in lines:
        st.toast(line, icon=":material/check:", duration=10)
    st.session_state[_SAID] = None
    return done


def suggested(rows: Iterable[Mapping]) -> int:
    """The step of the ladder for these rows: a reminder before the limit, a notice after it."""
    return NOTICE if any(row["state"] == "E" for row in rows) else REMINDER


def levels(rows: Iterable[Mapping]) -> list[int]:
    """The steps that make sense: no reminder after the limit, 拟通报 only past 5 working days without a reason."""
    late = [row for row in rows if row["state"] == "E"]
    if not late:
        return [REMINDER]
    return [NOTICE, LETTER] + [NAMING] * all(row["late"] > 5 and not row["reported"] for row in late)


def outcome_words(outcome: acts.Outcome, level: int, names: Mapping[int, str], zone: ZoneInfo) -> list[str]:
    """What came of an urge, in sentences: done and told, then what was left out and why. Pure.

    ``names`` is what to say of a single complaint.
    """
    done, lines, skipped = len(outcome.done), [], outcome.skipped
    if done == 1 and not skipped and outcome.done[0] in names:
        lines.append(names[outcome.done[0]])
    elif done:
        lines.append(t("act.urged", n=done, messages=outcome.messages))
    by_whom: dict[str, int] = {}
    for one in skipped:
        if one["code"] == "already_urged":
            by_whom[one.get("who") or t("complaint.system")] = by_whom.get(one.get("who") or t("complaint.system"),
                                                                           0) + 1
    if len(skipped) == 1 and by_whom and not done:
        one = skipped[0]
        lines.append(t("act.urged_today", who=literal(next(iter(by_whom))),
                       time=words.moment(datetime.fromisoformat(one["at"]), zone),
                       level=t(LEVEL_WORDS[level])))
    else:
        lines += [t("act.urged_by", n=n, who=literal(who)) for who, n in by_whom.items()]
    over = sum(one["code"] == "already_done" for one in skipped)
    gone = sum(one["code"] == "not_there" for one in skipped)
    return lines + [t("act.urge_done_meanwhile", n=over)] * bool(over) + [t("act.urge_not_there", n=gone)] * bool(gone)


def refusal_words(refused: acts.Refused, zone: ZoneInfo) -> str:
    """Why an act was refused, and who was faster. Pure."""
    code, params = refused.code, refused.params
    if code == "changed_meanwhile":
        key = {"reassigned": "conflict_moved", "done": "conflict_done"}.get(params["what"], "conflict_changed")
        return t(f"act.{key}", who=literal(params["who"] or t("complaint.system")),
                 time=words.moment(params["at"], zone))
    if code == "not_now":
        return t("act.not_now", who=literal(params.get("who") or t("complaint.system")), time=words.moment(params["at"], zone),
                 what=words.name("event", params.get("what")))
    if code == "conflict_of_interest":
        return t("act.reassign_person", person=literal(params["person"]))
    return t({"no_reason": "act.no_reason", "no_contact_name": "act.no_spoke_to", "same_unit": "act.same_unit",
              "already_done": "act.is_done", "no_words": "act.no_words", "bad_day": "act.bad_day", "bad_moment": "act.bad_moment", "no_choice": "act.no_choice",
              "no_score": "act.no_score", "no_unit": "act.no_unit",
              "not_there": "complaint.not_found", "key_reused": "act.key_reused"}.get(code, "act.failed"))


# -- the forms ------------------------------------------------------------------------------------------------------

def _urge_form() -> None:
    form = st.session_state.get(_OPEN)
    if form is None:
        st.rerun()
    rows, serial, zone = form["rows"], form["serial"], ZoneInfo(settings().zone)
    names = context.known()[0]
    steps = levels(rows)
    one = rows[0] if len(rows) == 1 else None
    telephone = form["via"] == "telephone"
    if one:
        unit = names[one["unit"]].name if one["unit"] in names else t("unit.none")
        st.markdown(f"{t('act.urge_to')} **{literal(unit)}**　{_contact(one)}")
    first = form["level"] if form["level"] in steps else steps[-1]
    name = filters.picked(lambda step: t(LEVEL_WORDS[step]), st.session_state.get(f"level_{serial}", first))
    level = st.segmented_control(t("act.urge_level"), steps, default=first, required=True, format_func=name,
                                 key=f"level_{serial}")
    today = data.read(complaints.urged_today, [row["id"] for row in rows])
    again = today[today["level"] == level]
    left = [row for row in rows if row["id"] not in set(again["complaint_id"])]
    if not one and left:
        places = list(dict.fromkeys(row["unit"] for row in left))
        st.markdown(t("act.urge_preview", n=len(left), units=len(places), messages=len(places)))
        st.caption(unit_list(places, names))
    if one and len(again):
        last = again.iloc[0]
        st.markdown(t("act.urged_today", who=literal(last["who"] or t("complaint.system")),
                      time=words.moment(last["sent_at"], zone),
                      level=t(LEVEL_WORDS[level])))
    elif len(again):
        for who, some in again.groupby("who", dropna=False):
            st.markdown(t("act.urged_by", n=len(some), who=literal(_text(who) or t("complaint.system"))))
    with _typed(form):
        if telephone:
            st.text_input(t("act.telephone_spoke"), value=_text((one or {}).get("contact")), key=f"spoke_{serial}",
                          max_chars=60)
            st.text_input(t("act.telephone_promise"), key=f"promised_{serial}", placeholder=t("act.promise_hint"),
                          max_chars=20)
        st.text_area(t("act.telephone_words") if telephone else t("act.urge_words"), key=f"note_{serial}",
                     max_chars=500, height=88,
                     placeholder=t("act.telephone_hint") if telephone else t("act.urge_words_hint"))
        label = t("act.save") if telephone else t("act.urge_confirm") if one else t("act.urge_n", n=len(left))
        _buttons(form, label, partial(_do_urge, form, level), disabled=not left)


def _do_urge(form: dict, level: int) -> None:
    """The click: every value into a local, then one write."""
    state, serial, zone = st.session_state, form["serial"], ZoneInfo(settings().zone)
    note = (state.get(f"note_{serial}") or "").strip()
    telephone, today = form["via"] == "telephone", data.as_of().astimezone(zone).date()
    spoke_to = (state.get(f"spoke_{serial}") or "").strip() if telephone else None
    typed = (state.get(f"promised_{serial}") or "").strip() if telephone else ""
    promised = periods.read_date(typed, today) if typed else None
    rows, names = form["rows"], {}
    if len(rows) == 1 and telephone:
        names = {rows[0]["id"]: t("act.telephone_saved_promise", who=literal(spoke_to), day=promised) if promised
                 else t("act.telephone_saved", who=literal(spoke_to))}
    elif len(rows) == 1:
        names = {rows[0]["id"]: t("act.urged_one_to", number=literal(rows[0]["number"]), level=t(LEVEL_WORDS[level]),
                                  contact=literal(_text(rows[0]["contact"]) or t("overdue.no_contact")))}
    if typed and (promised is None or promised < today):
        _answer(form, problem=t("act.promise_bad"))
        return
    untold = {row["id"]: t("act.urged_untold", number=literal(row["number"])) for row in rows[:1]}  # of financial crime no unit is told
    _commit(form, "urge", acts.urge, lambda outcome: outcome_words(outcome, level, names if outcome.messages or telephone or not names else untold, zone),
            complaints=[row["id"] for row in rows], level=level, note=note, via=form["via"], spoke_to=spoke_to,
            promised=promised)


def _reassign_form() -> None:
    form = st.session_state.get(_OPEN)
    if form is None:
        st.rerun()
    serial, zone = form["serial"], ZoneInfo(settings().zone)
    seen = data.read(complaints.whole, form["number"])
    if seen is None:
        st.markdown(t("complaint.not_found"))
        return
    names = context.known()[0]
    here = int(seen["unit_now"])
    offered = [u.id for u in names.values() if u.active and u.kind != "unmapped"]
    st.markdown(t("act.reassign_from", unit=literal(names[here].name) if here in names else t("unit.none"),
                  handler=literal(_text(seen["handler"]) or t("unit.none"))))
    if _text(seen["person"]):
        st.markdown(f":material/block: {t('act.reassign_person', person=literal(seen['person']))}")
    with _typed(form):
        st.selectbox(t("act.reassign_unit"), offered, index=None, format_func=lambda one: _path(one, names),
                     key=f"unit_{serial}",
                     placeholder=t("act.find_unit"))
        st.text_input(t("act.reassign_handler"), key=f"handler_{serial}", max_chars=60,
                      placeholder=t("act.handler_hint"))
        st.text_area(t("act.reassign_reason"), key=f"reason_{serial}", max_chars=500, height=88)
        left = days_left(seen)
        if left is not None:
            limit = words.deadline(seen["due_at"], zone)
            st.caption((t("act.reassign_late", day=limit) if left < 0 else t("act.reassign_left", day=limit,
                                                                             n=left)) + t("act.both_told"))
            if arrives_late(seen):
                st.markdown(t("act.late_arrival"))
        _buttons(form, t("act.reassign_confirm"), partial(_do_reassign, form))


def _do_reassign(form: dict) -> None:
    """The click: every value into a local, then one write."""
    state, serial = st.session_state, form["serial"]
    unit, reason = state.get(f"unit_{serial}"), (state.get(f"reason_{serial}") or "").strip()
    handler = (state.get(f"handler_{serial}") or "").strip() or None
    names = context.known()[0]
    if unit is None or not reason:
        _answer(form, problem=t("act.no_reason") if unit else t("act.no_unit"))
        return
    _commit(form, "reassign", acts.reassign,
            lambda outcome: [t("act.reassigned_to" if outcome.messages else "act.reassigned_untold", number=literal(form["number"]), unit=literal(names[unit].name))],
            complaint_id=form["id"], version=form["version"], unit_id=int(unit), handler=handler, reason=reason)


# -- the buttons of a list ------------------------------------------------------------------------------------------

def bar(rows: pd.DataFrame, picked: pd.DataFrame, f: context.Frame, place: str, may_reassign: bool) -> None:
    """At the foot of the window: what can be done to the ticked rows, or to all of them."""
    with st.bottom, st.container(border=True, horizontal=True, vertical_alignment="center", gap="small"):
        if picked.empty:
            st.markdown(f":gray[{t('overdue.none_picked')}]", width="content")
            st.space("stretch")
            st.button(t("act.urge_all", n=len(rows)), icon=":material/notifications_active:",
                      on_click=partial(urge, place, rows), key="urge_all")
            return
        places = list(dict.fromkeys(int(one) for one in picked["unit_id"]))
        st.markdown(f"{t('overdue.picked', n=len(picked), units=len(places))} "
                    f":gray[{t('overdue.picked_messages', names=unit_list(places, f.units), n=len(places))}]",
                    width="content")
        st.space("stretch")
        st.button(t("act.urge_n", n=len(picked)), type="primary", icon=":material/notifications_active:",
                  on_click=partial(urge, place, picked),
                  key="urge_picked")
        st.button(t("act.letter"), icon=":material/description:", on_click=partial(urge, place, picked, LETTER),
                  key="letter_picked",
                  disabled=not (picked["state"] == "E").any())
        if may_reassign:
            st.button(t("act.reassign"), icon=":material/swap_horiz:",
                      on_click=partial(reassign, place, picked.iloc[0]), disabled=len(picked) > 1,
                      help=t("act.one_only") if len(picked) > 1 else None, key="reassign_picked")
        st.button(t("overdue.unpick"), type="tertiary", on_click=_unpick, key="unpick")


def box(c: Mapping, row: pd.DataFrame, advice: str, act: int | str | None, place: str) -> None:
    """In the box of a complaint's page, for whom urges (duties.box): what to do now, the suggested act first, then the others of the ladder."""
    role = session.viewer().role
    if advice:
        st.markdown(advice)
    if row.empty or c["state"] in ("A", "B", "X"):
        return
    ask = partial(urge, place, row)
    if isinstance(act, int):
        st.button(t(LEVEL_WORDS[act]), type="primary", icon=":material/notifications_active:", width="stretch",
                  on_click=partial(ask, act),
                  key="suggested")
    with st.container(horizontal=True, gap="xsmall"):
        st.button(t("act.urge"), icon=":material/notifications:", on_click=ask, width="stretch", key="urge")
        st.button(t("act.letter"), icon=":material/description:", on_click=partial(ask, LETTER), width="stretch",
                  disabled=c["state"] != "E",
                  key="letter")
    with st.container(horizontal=True, gap="xsmall"):
        st.button(t("act.telephone"), icon=":material/call:", type="primary" if act == "telephone" else "secondary",
                  width="stretch",
                  on_click=partial(ask, via="telephone"), key="telephone")
        if permissions.may(role, "reassign"):
            st.button(t("act.reassign"), icon=":material/swap_horiz:", on_click=partial(reassign, place, c),
                      width="stretch", key="reassign")


def cards(rows: pd.DataFrame, f: context.Frame, around: Mapping[str, str], place: str, may_urge: bool,
          few: int) -> None:
    """The list on a phone: late by, marks, unit; the matter; whom to ring; a button to urge."""
    shown = st.session_state.get("overdue.cards", few)
    for row in rows.head(shown).itertuples():
        with st.container(border=True, gap="xsmall"):
            late = {"E": f":red[**{words.late_by(_whole(row.days_late))}**]",
                    "D": f":orange[**{t('unit.left', n=_whole(row.days_left))}**]"}
            late = late.get(row.state, f"**{t(f'state.{row.state}')}**")
            badges = " ".join(f":gray-badge[{one}]" for one in tables.flags(row.marks))
            st.markdown(f"{late} {badges}　:gray[{literal(f.unit_name(row.unit_id))}]")
            links.link(literal(row.title or row.complaint_no), "complaint", {**around, "number": row.complaint_no}, icon=None)
            with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
                times = t("overdue.urged_times", n=int(row.urges)) if row.urges else t("urge.none")
                unsigned = "" if not row.urges or row.urge_signed is True else f" **{t('urge.unsigned')}**"
                whom = _contact({"contact": row.contact, "phone": row.contact_phone})
                st.markdown(f"{whom}　:gray[:small[{times}{unsigned}]]", width="content")
                st.space("stretch")
                if may_urge:
                    one = rows[rows["complaint_id"] == row.complaint_id]
                    st.button(t("act.urge"), on_click=partial(urge, place, one), key=f"urge_{row.complaint_id}")
    if len(rows) > shown:
        st.button(t("overdue.more", n=len(rows) - shown), type="tertiary", width="stretch", key="more_cards",
                  on_click=lambda: st.session_state.update({"overdue.cards": shown + 20}))


def _unpick() -> None:
    tables.unpick("overdue")


# -- how an act is carried out --------------------------------------------------------------------------------------

def attempt(form: dict, permission: str, act, say=refusal_words, **params):
    """What came of one write with the form's key; None where there was no answer, or another, which the form then shows.
    Any answer closes the matter; without one the key is kept for another try."""
    zone = ZoneInfo(settings().zone)
    try:
        return data.write(permission, act, key=form["key"], **params)
    except acts.Refused as refused:
        _answer(form, problem=say(refused, zone), stale=refused.code in ("changed_meanwhile", "not_now", "already_done", "key_reused"))
    except (PermissionError, NotAllowed):
        _answer(form, problem=t("act.not_allowed"))
    except (OperationalError, TimeoutError):
        st.session_state[_OPEN] = {**form, "problem": t("act.lost"), "retry": True}
    except DBAPIError as error:
        known = {"42501": "act.not_allowed", "23514": "act.refused", "23503": "act.refused"}
        known = known.get(getattr(error.orig, "pgcode", None))
        if known is None:
            raise
        _answer(form, problem=t(known))
    return None


def _commit(form: dict, permission: str, act, tell, **params) -> None:
    """One write with the form's key, and what came of it."""
    outcome = attempt(form, permission, act, **params)
    if outcome is None:
        return
    lines = tell(outcome)
    if outcome.done:
        _finish(lines, outcome.done)
    else:  # nothing came of it: say so where it was asked
        _answer(form, problem="　".join(lines), stale=True)


def _begin(form: dict) -> None:
    st.session_state[_OPEN] = {**form, "key": uuid4().hex, "serial": uuid4().hex[:8], "problem": "", "retry": False,
                               "stale": False}


def _answer(form: dict, problem: str, stale: bool = False) -> None:
    """A definite answer that leaves the form open: the next click is another request."""
    st.session_state[_OPEN] = {**form, "key": uuid4().hex, "problem": problem, "retry": False, "stale": stale}


def _finish(lines: list[str], done: list[int]) -> None:
    st.session_state.update({_SAID: (tuple(lines), frozenset(done)), _OPEN: None})
    st.query_params.pop("at", None)  # the page shows what was done


def _close() -> None:
    st.session_state[_OPEN] = None


def _reload() -> None:
    """After a conflict: leave the form and read again."""
    _close()
    data.release()


def _typed(form: dict):
    """What is typed travels with the click on the button; no hints about keys, which the browser writes in English."""
    return st.form(f"form_{form['serial']}", border=False, enter_to_submit=False)


def _buttons(form: dict, label: str, act, disabled: bool = False) -> None:
    if form["problem"]:
        st.markdown(f":material/info: **{form['problem']}**")
    with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall"):
        if form["stale"]:
            st.form_submit_button(t("act.refresh"), on_click=_reload, key=f"reload_{form['serial']}")
        st.form_submit_button(t("act.cancel"), on_click=_close, type="tertiary", key=f"cancel_{form['serial']}")
        st.form_submit_button(t("error.retry") if form["retry"] else label, type="primary", on_click=act,
                              disabled=disabled,
                              key=f"confirm_{form['serial']}")


# -- small words ----------------------------------------------------------------------------------------------------

def unit_list(ids: Iterable[int], names: Mapping[int, context.Unit]) -> str:
    """Short names of units, the first few and how many more, as Markdown."""
    shown = [literal(names[one].short) if one in names else t("unit.none") for one in ids]
    return t("unit.comma").join(shown[:_NAMED]) + (t("unit.more", n=len(shown)) if len(shown) > _NAMED else "")


def days_left(seen: Mapping) -> int | None:
    """Working days from today to the limit; negative once it has passed, None without a limit or when done."""
    if any(pd.isna(seen[name]) for name in ("due_ord", "started_ord", "days_open")):
        return None
    return int(seen["due_ord"] - seen["started_ord"] - seen["days_open"])


def arrives_late(seen: Mapping) -> bool:
    """到单过晚: less than a third of the limit is left for the unit that gets it now."""
    left = days_left(seen)
    return left is not None and 0 <= left < int(seen["due_ord"] - seen["started_ord"]) / 3


def _contact(row: Mapping) -> str:
    name, phone = _text(row["contact"]), _text(row["phone"])
    return f"{literal(name)} {tables.telephone(phone) if phone else ''}" if name else t("overdue.no_contact")


def _path(unit: int, names: Mapping[int, context.Unit]) -> str:
    above = names[unit].parent
    root = above is None or names[above].parent is None
    return names[unit].name if root else f"{names[unit].name}　{names[above].short}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int:
    return 0 if pd.isna(value) else int(value)
