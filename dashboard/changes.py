"""The forms of the page 「设置」: each a dialog, opened by a button, with a key of its own (``forms``).

A form keeps what it had read when it was opened (``seen``); the database refuses where somebody was faster. What moves
limits or places is shown first, tried by the database and rolled back, and carried out by a second click.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard import context, data, forms, links, periods, words
from dashboard.settings import here, settings
from dashboard.words import literal, t
from queries import accounts, acts, administration, calendars
from queries.viewer import Role

PLACE = "settings"
ROLES = [role.value for role in Role if role != Role.intake]
LOOK_BACK = 30  # days whose complaints a draft of a policy is tried on
_OPEN = forms._OPEN


def zone() -> ZoneInfo:
    """The office's."""
    return ZoneInfo(settings().zone)


# -- to open, to show -----------------------------------------------------------------------------------------------

def show() -> None:
    """The open form, if it was opened here. The last line of the page."""
    form = st.session_state.get(_OPEN)
    if form and form["place"] != PLACE:
        del st.session_state[_OPEN]
    elif form:
        word, width, draw = FORMS[form["kind"]]
        st.dialog(t(f"settings.{word or form['act']}"), width=width, on_dismiss=forms._close)(_drawn)(draw)


def _drawn(draw: Callable[[dict], None]) -> None:
    form = st.session_state.get(_OPEN)
    if form is None:
        st.rerun()
    draw(form)


def _begin(kind: str, **more) -> None:
    forms._begin({"kind": kind, "place": PLACE, **more})


def add_user() -> None:
    """For on_click: the form of a new account."""
    _begin("user", id=None, act="user_add", seen={"login": "", "name": "", "role": "leader", "all_units": True, "units": [], "sees_restricted": False,
                                                  "valid_from": None, "valid_until": None})


def edit_user(id: int) -> None:
    """For on_click: the form of an account."""
    _begin("user", id=id, act="user_edit", seen=data.read(administration.user, id))


def link_user(id: int, login: str) -> None:
    """For on_click: a set-up link. Its token is made now, so that trying again after a broken connection gives the same."""
    _begin("link", id=id, name=login, token=accounts.fresh(), made=False)


def ask(id: int, name: str, act: str) -> None:
    """For on_click: one of ``ASKED``, which wants a yes."""
    seen = data.read(administration.unit, id) if act in ("unit_on", "unit_off") else None
    _begin("ask", id=id, name=name, act=act, seen=seen)


def edit_unit(id: int) -> None:
    """For on_click: a unit's names and figures."""
    _begin("unit", id=id, act="unit_edit", seen=data.read(administration.unit, id))


def add_unit(parent: int) -> None:
    """For on_click: a new unit below another."""
    _begin("unit", id=None, act="unit_add", parent=parent, seen={})


def edit_contacts(id: int) -> None:
    """For on_click: whom messages to a unit go to."""
    _begin("contacts", id=id, seen=data.read(administration.unit, id))


def move_unit(id: int) -> None:
    """For on_click: another place in the tree."""
    _begin("move", id=id, seen=data.read(administration.unit, id), told=None)


def draft_policy(base: int, pack: str) -> None:
    """For on_click: the next version of a pack, as a copy of its latest."""
    _begin("policy", base=base, pack=pack, draft=None, told=None)


def load_year(id: int, code: str, tz: str, years: Sequence[int], status: Sequence[str]) -> None:
    """For on_click: a year of a calendar."""
    _begin("year", id=id, code=code, tz=tz, years=list(years), status=list(status), told=None)


def edit_source(id: int) -> None:
    """For on_click: a source."""
    _begin("source", id=id, seen=data.read(administration.source, id))


# -- how an act is carried out --------------------------------------------------------------------------------------

def refusal_words(refused: acts.Refused, zone: ZoneInfo) -> str:
    """Why an act was refused, and who was faster. Pure."""
    params = dict(refused.params)
    if refused.code == "changed_meanwhile":
        return t("settings.refused_changed_meanwhile", who=literal(params["who"] or t("complaint.system")), time=words.moment(params["at"], zone))
    if refused.code == "too_early":
        return t("settings.refused_too_early", day=words.day_long(date.fromisoformat(params["earliest"])))
    if refused.code == "open_complaints" and not params["n"]:
        return t("settings.refused_open_some")
    return t(f"settings.refused_{refused.code}", **params) if words.has(f"settings.refused_{refused.code}") else forms.refusal_words(refused, zone)


def _do(form: dict, act: Callable, said: Callable[[administration.Done], str], **params) -> administration.Done | None:
    """One write with the form's key; the form closes and says what was done."""
    done = forms.attempt(form, "settings:write", act, say=refusal_words, **params)
    if done is not None:
        forms._finish([said(done)], [])
    return done


def _try(form: dict, preview: Callable, **params) -> dict | None:
    """What an act would do; a refusal stands in the form."""
    return forms.attempt(form, "settings:write", lambda conn, key, **asked: preview(conn, **asked), say=refusal_words, **params)


def _keep(form: dict, **more) -> None:
    """The form goes on, with more in it; what comes next is another request."""
    forms._begin({**form, **more})


def _text(form: dict, name: str) -> str:
    return (st.session_state.get(f"{name}_{form['serial']}") or "").strip()


def _value(form: dict, name: str) -> object:
    return st.session_state.get(f"{name}_{form['serial']}")


def _input(form: dict, name: str, value: object, word: str | None = None, **how) -> None:
    st.text_input(t(f"settings.{word or name}"), value="" if value is None else str(value), key=f"{name}_{form['serial']}", **how)


def _unit_names() -> dict[int, context.Unit]:
    return context.names_of_units(data.read(administration.units).itertuples())


# -- a yes ----------------------------------------------------------------------------------------------------------

ASKED = {  # act -> what it does, what is said then
    "user_disable": (partial(administration.user_enable, on=False), "user_disabled"),
    "user_enable": (partial(administration.user_enable, on=True), "user_enabled"),
    "user_unlock": (administration.user_unlock, "user_unlocked"),
    "sessions_end": (administration.sessions_end, "sessions_ended"),
    "unit_off": (partial(administration.unit_set, new={"active": False}), "unit_is_off"),
    "unit_on": (partial(administration.unit_set, new={"active": True}), "unit_is_on"),
    "policy_withdraw": (administration.policy_withdraw, "policy_withdrawn"),
    "recompute": (administration.calendar_recompute, "recomputed"),
}


def _ask(form: dict) -> None:
    st.markdown(t(f"settings.ask_{form['act']}", name=literal(form["name"])))
    with forms._typed(form):
        forms._buttons(form, t("act.confirm"), partial(_do_asked, form))


def _do_asked(form: dict) -> None:
    act, said = ASKED[form["act"]]
    more = {"seen": form["seen"]} if form["seen"] is not None else {}
    _do(form, act, lambda done: t(f"settings.{said}", name=literal(form["name"]), n=done.n), id=form["id"], **more)


# -- accounts -------------------------------------------------------------------------------------------------------

def _user(form: dict) -> None:
    seen, serial, names = form["seen"], form["serial"], _unit_names()
    with forms._typed(form):
        if form["id"] is None:
            _input(form, "login", "", max_chars=63, help=t("settings.login_help"))
        _input(form, "name", seen["name"], max_chars=60)
        st.selectbox(t("settings.col_role"), ROLES, index=ROLES.index(seen["role"]), format_func=lambda one: words.name("role", one), key=f"role_{serial}")
        st.radio(t("settings.col_scope"), [True, False], index=0 if seen["all_units"] else 1, horizontal=True, key=f"whole_{serial}",
                 format_func=lambda one: t("settings.whole" if one else "settings.some_units"))
        st.multiselect(t("settings.scope_units"), [one for one in names if names[one].kind != "unmapped" or one in seen["units"]], default=[one for one in seen["units"] if one in names],
                       format_func=lambda one: forms._path(one, names), key=f"units_{serial}", placeholder=t("act.find_unit"), help=t("settings.scope_help"))
        st.checkbox(t("settings.restricted"), value=seen["sees_restricted"], key=f"restricted_{serial}", help=t("settings.restricted_help"))
        with st.container(horizontal=True):
            _input(form, "valid_from", _day(seen["valid_from"]), placeholder=t("settings.day_hint"))
            _input(form, "valid_until", _day(seen["valid_until"], last=True), placeholder=t("settings.day_hint"))
        forms._buttons(form, t("act.save"), partial(_do_user, form))


def _day(moment: str | None, last: bool = False) -> str:
    """The day of a moment of ``administration.user`` as the field shows it; of an end, the last day that counts."""
    if not moment:
        return ""
    return (pd.Timestamp(moment) - pd.Timedelta(microseconds=int(last))).tz_convert(zone()).date().isoformat()


def _do_user(form: dict) -> None:
    """The click: every value into a local, then one write."""
    seen, new, bad = form["seen"], {}, None
    for name, later in (("valid_from", 0), ("valid_until", 1)):
        typed = _text(form, name)
        day = periods.read_date(typed, date.today()) if typed else None
        bad = bad or (typed and day is None)
        kept = typed == _day(seen[name], last=bool(later))  # an untouched field keeps its moment to the second
        new[name] = seen[name] if kept else context.midnight(day + timedelta(days=later), zone()).isoformat() if day else None
    whole, units = _value(form, "whole"), _value(form, "units")
    new |= {"name": _text(form, "name"), "role": _value(form, "role"), "all_units": whole, "units": [] if whole else sorted(units), "sees_restricted": _value(form, "restricted")}
    login = seen["login"] or _text(form, "login").lower()
    if bad:
        forms._answer(form, problem=t("settings.refused_bad_day"))
    elif not whole and not units and new["role"] not in ("admin", "auditor"):
        forms._answer(form, problem=t("settings.refused_no_scope"))
    elif form["id"] is None:
        _do(form, administration.user_add, lambda done: t("settings.user_added", name=literal(login)), new={"login": login, **new})
    else:
        _do(form, administration.user_set, lambda done: t("settings.user_changed", name=literal(login)), id=form["id"], seen=seen, new=new)


def _link(form: dict) -> None:
    if form["made"]:
        st.markdown(t("settings.link_made", name=literal(form["name"])))
        st.code(set_up_link(form["token"]), language=None, wrap_lines=True)
        st.markdown(t("settings.link_once"))
        st.button(t("act.close"), on_click=forms._close, key=f"close_{form['serial']}")
        return
    st.markdown(t("settings.ask_link", name=literal(form["name"])))
    with forms._typed(form):
        forms._buttons(form, t("settings.user_link"), partial(_do_link, form))


def _do_link(form: dict) -> None:
    if forms.attempt(form, "settings:write", administration.user_link, say=refusal_words, id=form["id"], token=form["token"]) is not None:
        st.session_state[_OPEN] = {**form, "made": True}


def set_up_link(token: str) -> str:
    """The address of a set-up link, under the name by which this browser asks."""
    asked = urlsplit(st.context.url or "")
    return f"{f'{asked.scheme}://{asked.netloc}' if asked.netloc else here()}/set-up/{token}"


# -- units ----------------------------------------------------------------------------------------------------------

TEXTS = ("unit_name", "short", "name_en", "short_en", "code", "outlets", "customers")


def _unit(form: dict) -> None:
    seen, serial = form["seen"], form["serial"]
    if form["id"] is None:
        st.markdown(t("settings.below_unit", unit=literal(_unit_names()[form["parent"]].name)))
    with forms._typed(form):
        for pair in (("unit_name",), ("short", "code"), ("name_en", "short_en"), ("outlets", "customers")):
            with st.container(horizontal=True):
                for name in pair:
                    _input(form, name, seen.get("name" if name == "unit_name" else name), max_chars=100)
        st.checkbox(t("settings.focus"), value=seen.get("focus", False), key=f"focus_{serial}")
        st.checkbox(t("settings.accepts"), value=seen.get("accepts", False), key=f"accepts_{serial}")
        forms._buttons(form, t("act.save"), partial(_do_unit, form))


def _do_unit(form: dict) -> None:
    typed = {name: _text(form, name) for name in TEXTS}
    figures = {name: typed[name].replace(",", "") for name in ("outlets", "customers")}
    new = {"name": typed["unit_name"], **{name: typed[name] or None for name in ("short", "name_en", "short_en", "code")},
           "focus": _value(form, "focus"), "accepts": _value(form, "accepts")}
    if not all(text == "" or text.isascii() and text.isdigit() and len(text) < 10 for text in figures.values()):
        forms._answer(form, problem=t("settings.refused_bad_number"))
        return
    new |= {name: int(text) if text else None for name, text in figures.items()}
    name = literal(new["name"])
    if form["id"] is None:
        _do(form, administration.unit_add, lambda done: t("settings.unit_added", name=name), parent=form["parent"], new=new)
    else:
        _do(form, administration.unit_set, lambda done: t("settings.unit_changed", name=name), id=form["id"], seen=form["seen"], new=new)


def _contacts(form: dict) -> None:
    with forms._typed(form):
        for rank in ("1", "2", "3"):
            one = form["seen"]["contacts"].get(rank, {})
            st.markdown(f"**{t(f'units.contact_{rank}')}**")
            with st.container(horizontal=True):
                for name in ("name", "phone"):
                    _input(form, f"{name}{rank}", one.get(name), f"contact_{name}", max_chars=60)
            with st.container(horizontal=True):
                for name, most in (("email", 120), ("webhook", 400)):
                    _input(form, f"{name}{rank}", one.get(name), f"contact_{name}", max_chars=most)
        st.caption(t("settings.webhook_note"))
        forms._buttons(form, t("act.save"), partial(_do_contacts, form))


def _do_contacts(form: dict) -> None:
    typed = {rank: {name: _text(form, f"{name}{rank}") or None for name in ("name", "phone", "email", "webhook")} for rank in ("1", "2", "3")}
    new = {rank: one for rank, one in typed.items() if any(one.values()) or rank in form["seen"]["contacts"]}
    _do(form, administration.unit_set, lambda done: t("settings.contacts_changed"), id=form["id"], seen=form["seen"], new={"contacts": new})


def _move(form: dict) -> None:
    names = _unit_names()
    one = literal(names[form["id"]].name)
    if form["told"]:
        st.markdown(t("settings.move_would", unit=one, parent=literal(names[form["to"]].name), units=form["told"]["units"], complaints=form["told"]["complaints"]))
        st.markdown(t("settings.move_note"))
        with forms._typed(form):
            forms._buttons(form, t("settings.move_do"), partial(_do_move, form))
        return
    above = names[form["id"]].parent
    st.markdown(t("settings.move_from", unit=one, parent=literal(names[above].name) if above else t("unit.none")))
    rows = data.read(administration.units)
    offered = [int(row.unit_id) for row in rows.itertuples() if row.active and row.kind != "unmapped" and row.unit_id not in (form["id"], above) and row.level < 5]
    with forms._typed(form):
        st.selectbox(t("settings.move_to"), offered, index=None, format_func=lambda unit: forms._path(unit, names), key=f"to_{form['serial']}", placeholder=t("act.find_unit"))
        forms._buttons(form, t("settings.preview"), partial(_try_move, form))


def _try_move(form: dict) -> None:
    to = _value(form, "to")
    if to is None:
        forms._answer(form, problem=t("settings.refused_bad_parent"))
        return
    told = _try(form, administration.move_preview, id=form["id"], parent=int(to))
    if told:
        _keep(form, told=told, to=int(to))


def _do_move(form: dict) -> None:
    name = literal(_unit_names()[form["id"]].name)
    _do(form, administration.unit_move, lambda done: t("settings.unit_moved", name=name, n=done.n), id=form["id"], seen=form["seen"], parent=form["to"])


# -- policies -------------------------------------------------------------------------------------------------------

def _policy(form: dict) -> None:
    from dashboard.administration import limit_name  # the page imports this module

    base = data.read(administration.versions).set_index("policy_id").loc[form["base"]]
    limits = data.read(administration.limits, form["base"])
    limits = limits[limits["amount"].notna()]
    if form["told"]:
        _policy_told(form, base, {row.limit_id: limit_name(row) for row in limits.itertuples()}, limits)
        return
    draft = form["draft"] or {"from": data.read(administration.earliest, form["pack"]).isoformat(), "title": base.title, "title_en": base.title_en, "limits": []}
    changed = {one["limit_id"]: one for one in draft["limits"]}
    st.markdown(t("settings.draft_of", version=str(base.version)))
    with forms._typed(form):
        _input(form, "begins", draft["from"], placeholder=t("settings.day_hint"))
        _input(form, "title_zh", draft["title"], max_chars=200)
        _input(form, "title_en", draft["title_en"], max_chars=200)
        for row in limits.itertuples():
            now = changed.get(row.limit_id) or {"amount": row.amount, "target": row.target, "soon": row.soon}
            st.markdown(f":small[**{literal(limit_name(row))}**]")
            with st.container(horizontal=True, wrap=False):
                key = f"{row.limit_id}_{form['serial']}"
                st.number_input(t(f"settings.amount_in_{row.unit}"), 1, 1000, int(now["amount"]), key=f"amount_{key}")
                st.number_input(t("settings.target_in"), 0, 999, 0 if pd.isna(now["target"]) else int(now["target"]), key=f"target_{key}", disabled=row.unit != "w")
                st.number_input(t("settings.soon_in"), 0, 999, int(now["soon"]), key=f"soon_{key}", disabled=row.unit == "h")
        st.caption(t("settings.draft_note"))
        forms._buttons(form, t("settings.preview"), partial(_try_policy, form, [(int(row.limit_id), row.amount, row.target, row.soon) for row in limits.itertuples()]))


def _try_policy(form: dict, limits: list[tuple]) -> None:
    begins = periods.read_date(_text(form, "begins"), date.today())
    changed = []
    for id, amount, target, soon in limits:
        now = {name: int(_value(form, f"{name}_{id}")) for name in ("amount", "target", "soon")}
        now["target"] = now["target"] or None
        if now != {"amount": int(amount), "target": None if pd.isna(target) else int(target), "soon": int(soon)}:
            changed.append({"limit_id": id, **now})
    draft = {"from": begins.isoformat() if begins else None, "title": _text(form, "title_zh"), "title_en": _text(form, "title_en"), "limits": changed}
    if begins is None:
        forms._answer(form, problem=t("settings.refused_bad_day"))
        return
    since = data.as_of() - timedelta(days=LOOK_BACK)
    told = _try(form | {"draft": draft}, administration.policy_preview, base=form["base"], draft=draft, since=since)
    if told:
        _keep(form, draft=draft, told=told)


def _policy_told(form: dict, base, names: Mapping[int, str], limits: pd.DataFrame) -> None:
    draft, told = form["draft"], form["told"]
    old = limits.set_index("limit_id")
    st.markdown(t("settings.policy_would", day=words.day_long(date.fromisoformat(draft["from"])), title=literal(draft["title_en" if words.language() == "en" else "title"])))
    value = lambda one: t("unit.none") if one is None or pd.isna(one) else str(int(one))  # noqa: E731
    rows = [{"limit": names[one["limit_id"]], **{part: f"{value(old.at[one['limit_id'], part])} → {value(one[part])}" for part in ("amount", "target", "soon")}} for one in draft["limits"]]
    links.ranked_table(pd.DataFrame(rows), names={"limit": t("settings.col_limit"), "amount": t("settings.col_amount"), "target": t("settings.col_target"), "soon": t("settings.col_soon")},
                       alt=t("settings.changed_limits"))
    st.markdown(t("settings.policy_kept", n=told["open_kept"]))
    st.markdown(t("settings.policy_tried", days=LOOK_BACK, n=told["stretches"]))
    counts = pd.DataFrame([{"limit": t(f"settings.clock_{one['clock']}"), **{name: one[name] for name in ("n", "earlier", "later", "same", "overdue", "relieved")}} for one in told["clocks"]])
    if len(counts):
        links.ranked_table(counts, dict.fromkeys(("n", "earlier", "later", "same", "overdue", "relieved"), words.number),
                           names={one: t(f"settings.col_{one}") for one in counts}, alt=t("settings.tried_alt"))
    with forms._typed(form):
        st.form_submit_button(t("settings.back"), type="tertiary", on_click=_keep, args=(form,), kwargs={"told": None}, key=f"back_{form['serial']}")
        forms._buttons(form, t("settings.publish"), partial(_do_policy, form))


def _do_policy(form: dict) -> None:
    day = words.day_long(date.fromisoformat(form["draft"]["from"]))
    _do(form, administration.policy_publish, lambda done: t("settings.policy_published", day=day), base=form["base"], draft=form["draft"])


# -- calendars ------------------------------------------------------------------------------------------------------

def _year(form: dict) -> None:
    if form["told"]:
        _year_told(form)
        return
    status = dict(zip(form["years"], form["status"]))
    first = next((n for n, one in enumerate(form["years"]) if status[one] != "published"), len(form["years"]) - 1)
    with forms._typed(form):
        st.selectbox(t("settings.col_year"), form["years"], index=first, key=f"year_{form['serial']}",
                     format_func=lambda one: f"{one} · {t(f'settings.year_{status[one]}')}")
        st.radio(t("settings.year_from"), ["library", "pasted", "file"], key=f"from_{form['serial']}", horizontal=True, format_func=lambda one: t(f"settings.year_from_{one}"))
        st.text_area(t("settings.year_pasted"), key=f"pasted_{form['serial']}", height=160, max_chars=20_000, placeholder=t("settings.year_hint"))
        st.file_uploader(t("settings.year_file"), type="csv", key=f"file_{form['serial']}", max_upload_size=1)
        st.caption(t("settings.year_note"))
        forms._buttons(form, t("settings.preview"), partial(_try_year, form))


def read_year(origin: str, code: str, year: int, pasted: str, file) -> tuple[list[calendars.Day], str]:
    """The days of a year and where they come from. Raises queries.calendars.CalendarError."""
    if origin == "library":
        found = calendars.library(code, year)
        if found is None:
            raise calendars.CalendarError(f"The packages do not know {code} {year}.", "unknown_year")
        return found
    if origin == "file":
        if file is None:
            raise calendars.CalendarError("There is no file.", "empty")
        try:
            pasted = file.getvalue().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise calendars.CalendarError("The file is not UTF-8.", "not_utf8") from None
    return calendars.exceptions(pasted, year), file.name[:100] if origin == "file" else "pasted"


def _try_year(form: dict) -> None:
    year, origin = int(_value(form, "year")), _value(form, "from")
    try:
        days, name = read_year(origin, form["code"], year, _text(form, "pasted"), _value(form, "file"))
    except calendars.CalendarError as wrong:
        line = {name: str(value)[:40] for name, value in wrong.params.items()}
        forms._answer(form, problem=t(f"settings.year_bad_{wrong.code}", **{name: literal(value) for name, value in line.items()}))
        return
    seen = data.read(administration.year, form["id"], year)
    told = _try(form, administration.calendar_preview, calendar_id=form["id"], year=year, days=days)
    if told:
        _keep(form, told=told, year=year, days=days, origin=name, seen=seen)


def _year_told(form: dict) -> None:
    told, special = form["told"], [one for one in form["days"] if one[2] in ("holiday", "makeup") or one[3]]
    st.markdown(t("settings.year_would", year=str(form["year"]), code=literal(form["code"]), n=sum(one[1] for one in form["days"]), changed=told["days"]))
    st.dataframe(pd.DataFrame({"day": [one[0].isoformat() for one in special], "kind": [t(f"settings.day_{one[2]}") for one in special], "name": [words.visible(one[3]) for one in special]}),
                 hide_index=True, height=220, key=f"days_{form['serial']}", alt=t("settings.year_days"),
                 column_config={"day": t("settings.col_day"), "kind": t("settings.col_kind_of_day"), "name": t("settings.col_day_name")})
    if form["seen"]["status"] == "published":
        st.markdown(t("settings.year_again"))
    if told.get("more"):
        st.markdown(t("settings.year_more", n=told["complaints"]))
    else:
        st.markdown(t("settings.year_limits", n=told["complaints"], final=told["final"], earlier=told["earlier"], later=told["later"]))
        st.markdown(t("settings.year_overdue", overdue=told["overdue"], relieved=told["relieved"]))
    with forms._typed(form):
        forms._buttons(form, t("settings.year_do"), partial(_do_year, form))


def _do_year(form: dict) -> None:
    _do(form, administration.calendar_load, lambda done: t("settings.year_loaded", year=str(form["year"]), n=done.n), id=form["id"], year=form["year"], seen=form["seen"],
        days=form["days"], origin=form["origin"])


# -- sources --------------------------------------------------------------------------------------------------------

def _source(form: dict) -> None:
    seen, serial = form["seen"], form["serial"]
    packs = list(dict.fromkeys(data.read(administration.versions)["pack"]))
    fixed = bool(data.read(administration.sources).set_index("source_id").at[form["id"], "complaints"])
    with forms._typed(form):
        _input(form, "source_name", seen["name"], max_chars=60)
        _input(form, "tz", seen["tz"], max_chars=60, disabled=fixed)
        st.selectbox(t("settings.col_pack"), packs, index=packs.index(seen["pack"]), format_func=lambda one: words.name("settings", f"pack_{one}"), key=f"pack_{serial}", disabled=fixed)
        st.caption(t("settings.source_fixed") if fixed else t("settings.source_name_note"))
        forms._buttons(form, t("act.save"), partial(_do_source, form))


def _do_source(form: dict) -> None:
    new = {"name": _text(form, "source_name"), "tz": _text(form, "tz"), "pack": _value(form, "pack")}
    _do(form, administration.source_set, lambda done: t("settings.source_changed", name=literal(new["name"])), id=form["id"], seen=form["seen"], new=new)


FORMS = {  # kind -> title, width, what it draws
    "ask": (None, "small", _ask), "user": (None, "medium", _user), "link": ("user_link", "medium", _link), "unit": (None, "medium", _unit),
    "contacts": ("contacts_edit", "medium", _contacts), "move": ("unit_move", "medium", _move), "policy": ("policy_draft", "large", _policy),
    "year": ("year_load", "medium", _year), "source": ("source_edit", "medium", _source),
}
