"""The search over all complaints: words in the address, a person only in the session, menus, lists that are often wanted.

What identifies a person (telephone, identity number, name) never goes into the address, which browsers remember and
people send on. It is asked through ``complaints.find_person``, which audits; the session keeps the complaints found and a
masked form of what was asked.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence

import streamlit as st
from sqlalchemy.exc import OperationalError, TimeoutError

from dashboard import data, links, listing, permissions, session
from dashboard.context import Frame
from dashboard.words import literal, t
from queries import complaints, figures
from queries.complaints import MARKS, SORTS
from queries.indicators import STATES

WORK = ("overdue_list", "overdue_list_5", "due_soon_list", "due_today", "notice_proposed", "urge_unsigned", "promise_passed",
        "directive_open", "withdrawal_pending", "to_approve")
QUALITY = (("ping_pong", "den"), ("reopen_rate", "num"), ("redo_rate", "num"), ("withdrawal_rate", "num"), ("repeat_rate", "num"),
           ("serious_new", "den"), ("satisfaction", "rest"), ("reply_complete", "rest"))
LONG = "twelve_months"  # the time of the lists on quality
_PERSON, _SAID = "search.person", "search.said"  # session_state: who was looked for; what to say about it, once
_MOBILE = re.compile(r"(?<!\d)(?:\+?86)?1[3-9]\d{9}(?!\d)")
_ID = re.compile(r"(?<!\d)\d{6}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?!\d)")
_MAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


def personal(text: str | None) -> bool:
    """Whether a text holds a mobile number, an identity number or an e-mail address. Pure."""
    plain = unicodedata.normalize("NFKC", text or "")
    close = re.sub(r"(?<=\d)[ -](?=\d)", "", plain)
    return any(one.search(close) for one in (_MOBILE, _ID)) or bool(_MAIL.search(plain))


def masked(who: str) -> str:
    """张**, 138****1111: enough to know what was asked, too little to ask it again. Pure."""
    plain = unicodedata.normalize("NFKC", who).strip()
    digits = re.sub(r"[^0-9Xx]", "", plain)
    if re.fullmatch(r"[0-9Xx+() -]+", plain):
        return f"{digits[:3]}****{digits[-4:]}" if len(digits) > 10 else f"{digits[:2]}****{digits[-1:]}"
    return f"{plain[:1]}**"


# -- the person -----------------------------------------------------------------------------------------------------

def person() -> dict | None:
    """Who was looked for by this account: ``ids`` of complaints and the masked ``shown``; None for nobody."""
    found = st.session_state.get(_PERSON)
    return found if found and found["login"] == session.viewer().login else None


def find(who: str) -> None:
    """Look a person up and keep what was found; nothing of it is written into the address."""
    viewer = session.viewer()
    if not permissions.may(viewer.role, "person"):
        st.session_state[_SAID] = "complaints.personal"
        return
    try:
        ids = data.write("person", complaints.find_person, who=who)
    except (OperationalError, TimeoutError):
        st.session_state[_SAID] = "error.database"
        return
    st.session_state[_PERSON] = {"login": viewer.login, "ids": ids, "shown": masked(who)}
    for name in ("code", "part", "state", "ageing", "mark", "q", "page", "line"):  # the person among all complaints
        st.query_params.pop(name, None)


def forget() -> None:
    st.session_state.pop(_PERSON, None)
    listing.first_page()


def person_menu() -> None:
    """按客户: a whole telephone or identity number or name, for the roles that may; what was found can be left again."""
    if not permissions.may(session.viewer().role, "person"):
        return
    with st.popover(t("complaints.person"), icon=":material/person_search:", width="content"):
        with st.container(width=320):
            st.caption(t("complaints.person_hint"))
            with st.form("person", border=False, clear_on_submit=True):
                st.text_input(t("complaints.person_field"), key="person_typed", max_chars=60, autocomplete="off")
                st.form_submit_button(t("complaints.person_go"), type="primary", on_click=_find_typed, width="stretch")


def _find_typed() -> None:
    who = (st.session_state.get("person_typed") or "").strip()
    if who:
        find(who)


# -- words, menus ---------------------------------------------------------------------------------------------------

def guard() -> None:
    """Take what identifies a person out of an address that somebody made. Before the address is read."""
    if personal(st.query_params.get("q")):
        del st.query_params["q"]
        st.session_state[_SAID] = "complaints.personal"


def box() -> None:
    """The search box. What identifies a person is looked up as a person, or refused, and stays out of the address."""
    st.session_state["search_words"] = st.query_params.get("q", "")
    st.text_input(t("complaints.search"), key="search_words", placeholder=t("complaints.search_hint"), width=330,
                  label_visibility="collapsed", icon=":material/search:", max_chars=100, autocomplete="off", on_change=_look, help=t("complaints.search_help"))


def _look() -> None:
    typed = " ".join(complaints.terms(st.session_state["search_words"]))
    if personal(typed):
        st.session_state["search_words"] = ""
        find(typed)
        return
    listing.use("q", typed or None)


def said() -> None:
    """What the last search has to be told, once."""
    key = st.session_state.pop(_SAID, None)
    if key:
        may = key == "complaints.personal" and permissions.may(session.viewer().role, "person")
        st.markdown(f":material/info: {t(key)}{t('complaints.personal_way') if may else ''}")


def menus(asked: listing.Asked) -> None:
    """State, marks, order: popovers whose label is the value."""
    _menu("state", list(STATES), asked.state, lambda one: t(f"state.{one}"), t("complaints.all_states"), "complaints.state_is")
    _menu("mark", list(MARKS), asked.mark, lambda one: t(f"flag.{one}"), t("complaints.all_marks"), "complaints.mark_is")
    _menu("sort", list(SORTS), asked.order, lambda one: t(f"complaints.sort_{one}"), None, "complaints.sort_is")


def _menu(name: str, options: Sequence[str], chosen: str | None, label: Callable[[str], str], nothing: str | None, key: str) -> None:
    shown = nothing if chosen is None else t(key, name=label(chosen))
    with st.popover(shown, width="content"):
        st.session_state[f"list_{name}"] = chosen
        st.radio(t(key, name=""), [*([None] if nothing else []), *options], key=f"list_{name}", label_visibility="collapsed",
                 format_func=lambda one: t("filter.all") if one is None else label(one),
                 on_change=lambda: listing.use(name, st.session_state[f"list_{name}"]))


def presets(f: Frame) -> None:
    """常用清单: what is open now, each with how many; and the lists on quality over twelve months."""
    with st.popover(t("complaints.presets"), icon=":material/list_alt:", width="content", on_change="rerun", key="presets") as popover:
        if not popover.open:
            return
        counts = data.read(figures.counts, WORK, **f.where).loc["all"]
        with st.container(width=420):
            left, right = st.columns(2, gap="small")
        with left.container(gap="xsmall"):
            st.caption(t("complaints.presets_work"))
            for code in WORK:
                n = int(counts[f"{code}_den"])
                links.link(f"{literal(listing.name(code))} {f'**{n:,}**' if n else '0'}", "complaints", f.link(code=code), icon=None)
        with right.container(gap="xsmall"):
            st.caption(t("complaints.presets_quality"))
            for code, part in QUALITY:
                params = f.link(code=code, part=part, period=LONG, **{"from": None, "to": None})
                links.link(t(f"complaints.preset_{code}"), "complaints", params, icon=None)


def chip(found: dict | None) -> None:
    """By whom the list is narrowed, and the way out."""
    if found:
        st.button(t("complaints.person_is", shown=literal(found["shown"])), icon=":material/close:", icon_position="right",
                  on_click=forget, key="forget_person")


def elsewhere(asked: listing.Asked, total: int, f: Frame) -> None:
    """After a search: how many of them lie in the period, or how many there are beyond this list; each with its list."""
    if asked.line or not asked.q:
        return
    inside = asked.code == listing.ALL
    code = "received" if inside else listing.ALL
    other = data.read(complaints.listing, code, limit=1, **f.where, **asked.narrow())
    n, more = (int(other["total"].iloc[0]), bool(other["more"].iloc[0])) if len(other) else (0, False)
    if n and (inside or more or n != total):
        here, everywhere = ("complaints.in_period_more", "complaints.in_all_more") if more else ("complaints.in_period", "complaints.in_all")
        label = t(here, period=t(f"period_in.{f.period.code}"), n=n) if inside else t(everywhere, n=n)
        links.link(f":small[{label}]", "complaints", f.link(**{**asked.address(), "code": code, "part": None}))
