"""The filter bar: period, unit, category, channel and language, all of them in the address.

The address is the only place a filter lives: ``period from to unit category channel lang``. The widgets are set from it
before they are drawn and write to it when they are used, so a link, the Back button and a click come to the same. What
is not allowed (another viewer's unit, a mistyped date) is dropped from the address without a word. The menu at the top
clears the address; ``carry`` (called by app.py before every page) puts the filters back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

import streamlit as st

from dashboard import data, periods, session, words
from dashboard.periods import Period
from dashboard.words import t

NAMES = ("period", "from", "to", "unit", "category", "channel")
_KEPT, _PAGE = "filters.kept", "filters.page"  # session_state: the filters last used, and the page they were used on
_ACCOUNT = "filters.account"  # session_state: the account chosen in the menu
_FEW = 12  # up to so many choices are buttons; more of them are a list to search


@dataclass(frozen=True)
class Options:
    """What can be chosen: (id, label) each. ``path`` leads from the viewer's root to the present unit."""

    path: Sequence[tuple[int, str]]
    children: Sequence[tuple[int, str]] = ()
    categories: Sequence[tuple[int, str]] = ()
    channels: Sequence[tuple[int, str]] = ()


@dataclass(frozen=True)
class Filters:
    """What is chosen; None means all (of what the viewer may see)."""

    period: Period
    unit_id: int | None = None
    category_id: int | None = None
    channel_id: int | None = None
    params: dict[str, str] = field(default_factory=dict, compare=False)  # the same as an address, for links

    def __hash__(self) -> int:
        return hash((self.period, self.unit_id, self.category_id, self.channel_id))


def carry() -> None:
    """After a change of page by the menu, whose address is empty, put the kept filters back."""
    page = st.context.url.split("?")[0] if st.context.url else ""
    changed = st.session_state.get(_PAGE) != page
    st.session_state[_PAGE] = page
    if changed and not any(name in st.query_params for name in (*NAMES, "at")):
        st.query_params.update(st.session_state.get(_KEPT, {}))
        if words.REMEMBERED in st.session_state and "lang" not in st.query_params:
            st.query_params["lang"] = st.session_state[words.REMEMBERED]
        if _ACCOUNT in st.session_state and "as" not in st.query_params:
            st.query_params["as"] = st.session_state[_ACCOUNT]


def asked(name: str) -> int | None:
    """The id the address asks for (``asked("unit")``), unchecked: to look up ``Options`` with."""
    return _whole(st.query_params.get(name))


def bar(options: Options, *, as_of: datetime, zone: ZoneInfo, default: str = "last_week",
        show: Sequence[str] = ("period", "unit", "category", "channel")) -> Filters:
    """Draw the bar and say what is chosen. ``default`` is the period of an address without one; ``show`` leaves out
    what a page does not use (a filter that is not shown does not apply there, but is kept for the next page)."""
    today = as_of.astimezone(zone).date()
    period = _period(default, today)
    unit = _one_of("unit", [*options.path[1:], *options.children])
    if unit is not None and unit != options.path[-1][0]:  # a page that did not look the unit up shows its root
        unit = None
        _drop("unit")
    category, channel = _one_of("category", options.categories), _one_of("channel", options.channels)
    st.session_state[_KEPT] = {name: st.query_params[name] for name in NAMES if name in st.query_params}
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall", key="filter_bar"):
        if "period" in show:
            _period_menu(period, default, today)
        if "unit" in show:
            _unit_menu(options)
        if "category" in show:
            _list_menu("category", options.categories, category, ":material/category:")
        if "channel" in show:
            _list_menu("channel", options.channels, channel, ":material/call:")
        st.space("stretch")
        st.caption(t("app.as_of", moment=words.moment(as_of, zone)), width="content")
        language_switch()
        role_menu()
    params = {"period": period.code} | st.session_state[_KEPT]  # said even where it is the default: pages differ in it
    params |= {name: st.query_params[name] for name in ("lang", "as") if name in st.query_params}
    return Filters(period, unit if "unit" in show else None, category if "category" in show else None,
                   channel if "channel" in show else None, params)


def language_switch() -> None:
    """中 | EN, for pages without a filter bar too. The choice goes into the address and is kept in the session."""
    asked_for = st.query_params.get("lang")
    if asked_for in words.LANGUAGES:
        st.session_state[words.REMEMBERED] = asked_for
    elif asked_for is not None:
        del st.query_params["lang"]
    st.session_state["filter_lang"] = words.language()
    st.segmented_control(t("filter.language"), words.LANGUAGES, 
                         format_func=picked({"zh": "中", "en": "EN"}.get, words.language()),
                         key="filter_lang", required=True, label_visibility="collapsed",
                         on_change=_use_language, width="content")


def picked(label: Callable[[object], str], chosen: object) -> Callable[[object], str]:
    """``format_func`` of buttons of which one is chosen: its words in the accent for text, because the accent of
    buttons is too dim for text in dark mode (contrast 3.5)."""
    return lambda one: f":blue[{label(one)}]" if one == chosen else label(one)


def role_menu() -> None:
    """Who is signed in, the way out, and in a demo whose eyes: the choice goes into the address as ``as``."""
    viewer = session.viewer()
    with st.popover(words.literal(viewer.name), icon=":material/account_circle:", width="content"):
        st.caption(f"{words.name('role', viewer.role)} · {words.literal(viewer.login)}")
        if session.has_password():
            st.link_button(t("sign_in.change"), "/password", type="tertiary", icon=":material/key:")
        st.link_button(t("sign_in.out"), "/sign-out", type="tertiary", icon=":material/logout:")
        accounts = {login: (name, role) for login, name, role in data.derived(session.demo_accounts, rows=False)}
        if viewer.login not in accounts:
            return
        st.session_state["filter_as"] = viewer.login
        st.radio(t("app.choose_role"), list(accounts), key="filter_as", on_change=_use_account,
                 format_func=lambda login: words.literal(accounts[login][0]),
                 captions=[words.name("role", role) for _, role in accounts.values()])


def path_text(options: Options) -> str:
    """总行 › 宁波分行: the unit as the bar names it; the root alone is 「总行 全部单位」."""
    if len(options.path) == 1:
        root, label = options.path[0]
        return t("filter.all_units", unit=words.literal(label)) if root else label  # 0: above several roots
    shown = options.path if len(options.path) < 4 else (options.path[0], (0, "…"), *options.path[-1:])
    return t("filter.path_joint").join(words.literal(label) for _, label in shown)


# -- the menus ------------------------------------------------------------------------------------------------------

def _period_menu(period: Period, default: str, today: date) -> None:
    label = f"{t(f'period.{period.code}')} {words.span_short(period.start, period.last)}"
    with st.popover(label, icon=":material/calendar_month:", width="content"):
        codes = [code for code in periods.CODES if code != "custom"]
        st.session_state["filter_period"] = period.code if period.code in codes else None
        with st.container(width=300):
            st.pills(t("filter.period"), codes, key="filter_period",
                     format_func=picked(lambda code: t(f"period.{code}"), period.code),
                     label_visibility="collapsed", on_change=_use_period, args=(default,), wrap=True)
        with st.form("filter_dates", border=False, enter_to_submit=True):
            left, right = st.columns(2)
            bad = st.session_state.get("filter_bad_dates") and "filter_from" in st.session_state
            if not bad:  # what was typed wrongly stays to be corrected
                st.session_state["filter_from"] = period.start.isoformat()
                st.session_state["filter_to"] = period.last.isoformat()
            left.text_input(t("filter.custom_from"), key="filter_from", placeholder=t("filter.custom_hint"))
            right.text_input(t("filter.custom_to"), key="filter_to", placeholder=t("filter.custom_hint"))
            if bad:
                st.markdown(t("filter.custom_bad"))
            st.form_submit_button(t("filter.custom_apply"), on_click=_use_dates, args=(today,), width="stretch")


def _unit_menu(options: Options) -> None:
    with st.popover(path_text(options), icon=":material/account_tree:", width="content"):
        above = options.path[:-1]
        for place, (unit_id, label) in enumerate(above):
            st.button(t("filter.back_to", unit=words.literal(label)), key=f"filter_unit_up_{unit_id}", type="tertiary",
                      icon=":material/arrow_back:", on_click=_use, args=("unit", unit_id if place else None))
        names = dict(options.children)
        many = len(names) > _FEW                              # a select box shows plain text, pills Markdown
        st.session_state["filter_unit"] = None
        choices = {"options": list(names), "format_func": lambda one: names[one] if many else words.literal(names[one]), "key": "filter_unit",
                   "on_change": _use_choice, "args": ("unit", "filter_unit")}
        if not names:
            st.caption(t("filter.no_units_below"))
        elif not many:
            with st.container(width=300):
                st.pills(t("filter.units_below"), **choices, wrap=True)
        else:
            st.selectbox(t("filter.units_below"), index=None, placeholder=t("filter.find_unit"), **choices)


def _list_menu(name: str, choices: Sequence[tuple[int, str]], chosen: int | None, icon: str) -> None:
    names = dict(choices)
    label = {"category": (t("filter.all_categories"), "filter.category_is"),
             "channel": (t("filter.all_channels"), "filter.channel_is")}[name]
    text = label[0] if chosen is None else words.t(label[1], name=words.literal(names[chosen]))
    key = f"filter_{name}"
    with st.popover(text, icon=icon, width="content"):
        st.session_state[key] = chosen
        many = len(names) > _FEW
        shown = names if many else {one: words.literal(label) for one, label in names.items()}
        common = {"options": [None, *names], "format_func": lambda one: shown.get(one, t("filter.all")), "key": key,
                  "label_visibility": "collapsed", "on_change": _use_choice, "args": (name, key)}
        if many:
            st.selectbox(t(f"filter.{name}"), **common)
        else:
            st.radio(t(f"filter.{name}"), **common)


# -- from the address, checked --------------------------------------------------------------------------------------

def _period(default: str, today: date) -> Period:
    given = {name: st.query_params.get(name) for name in ("period", "from", "to")}
    period = periods.parse(given["period"], given["from"], given["to"], today)
    wanted = () if period is None else ("period", "from", "to") if period.code == "custom" else ("period",)
    _drop(*(name for name in given if name not in wanted))
    return period or periods.parse(default, None, None, today)


def _one_of(name: str, choices: Sequence[tuple[int, str]]) -> int | None:
    value = _whole(st.query_params.get(name))
    if value is not None and any(value == one for one, _ in choices):
        return value
    _drop(name)
    return None


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _drop(*names: str) -> None:
    for name in names:
        if name in st.query_params:
            del st.query_params[name]


# -- to the address (callbacks) -------------------------------------------------------------------------------------

def _use(name: str, value: object) -> None:
    _drop(name, "at")
    if value is not None:
        st.query_params[name] = str(value)


def _use_choice(name: str, key: str) -> None:
    _use(name, st.session_state[key])


def _use_period(default: str) -> None:
    chosen = st.session_state["filter_period"]
    if chosen is not None:  # a click on the chosen one takes it back: stay
        st.session_state["filter_bad_dates"] = False
        _drop("from", "to")
        _use("period", chosen if chosen != default else None)


def _use_dates(today: date) -> None:
    first, last = (periods.read_date(st.session_state[key], today) for key in ("filter_from", "filter_to"))
    period = periods.parse("custom", first, last, today)
    st.session_state["filter_bad_dates"] = period is None
    if period:
        _drop("at")
        st.query_params.update({"period": "custom", "from": period.start.isoformat(), "to": period.last.isoformat()})


def _use_account() -> None:
    chosen = st.session_state["filter_as"]
    st.query_params["as"] = st.session_state["login"] = st.session_state[_ACCOUNT] = chosen
    _drop("unit", "at")


def _use_language() -> None:
    st.session_state[words.REMEMBERED] = st.query_params["lang"] = st.session_state["filter_lang"]
