"""Two acts that concern who may know what of a complaint: the identity behind it, for a reason and for a minute; opening it to regulators."""

from collections.abc import Mapping
from time import monotonic

import pandas as pd
import streamlit as st

from dashboard import data, links, permissions, session, words
from dashboard.words import literal, t
from queries import acts

SECONDS = 60
FIELDS = ("name", "phone", "id_no", "email", "matter", "text", "demand")
_OPEN, _SHOWN, _SAID = "identity.open", "identity.shown", "identity.said"     # session_state: (form, complaint); (complaint, until when, values); what came of it
_REFUSED = {"no_reason": "reveal.no_reason", "not_there": "complaint.not_found", "restricted": "reveal.restricted"}


def bar(c: Mapping, released: bool) -> None:
    """The buttons of this viewer, and what they have brought to light."""
    role, key = session.viewer().role, int(c["complaint_id"])
    if said := st.session_state.pop(_SAID, None):
        st.toast(said, icon=":material/check:", duration=10)
    with st.container(horizontal=True, gap="xsmall"):
        if permissions.may(role, "reveal") and not c["anonymous"]:
            st.button(t("reveal.open"), type="tertiary", icon=":material/visibility:", key="reveal_open", on_click=_open, args=("reveal", key))
        if permissions.may(role, "release"):
            st.button(t("reveal.release_withdraw" if released else "reveal.release"), type="tertiary", icon=":material/lock_open:", key="release_open",
                      on_click=_open, args=("release", key))
    asked = st.session_state.get(_OPEN)
    if asked == ("reveal", key):
        st.dialog(t("reveal.title"), on_dismiss=_close)(_reveal)(key)
    elif asked == ("release", key):
        st.dialog(t("reveal.release_title"), on_dismiss=_close)(_release)(key, c["complaint_no"], not released)
    elif asked:                                       # left with the Back button
        _close()
    shown = st.session_state.get(_SHOWN)
    if shown and shown[0] != key:                     # another complaint was opened: nothing of this one stays
        del st.session_state[_SHOWN]
    elif shown:
        _values(key)


def _open(what: str, key: int) -> None:
    st.session_state[_OPEN] = (what, key)


def _close() -> None:
    st.session_state.pop(_OPEN, None)


def _reveal(key: int) -> None:
    st.markdown(t("reveal.warning"))
    presets = [t(f"reveal.preset_{one}") for one in ("call", "repeat", "urgent")]
    chosen = st.pills(t("reveal.why"), presets, key="reveal_preset")
    why = st.text_input(t("reveal.why"), value=chosen or "", max_chars=200, key=f"reveal_why_{chosen}", label_visibility="collapsed")
    if st.button(t("reveal.show"), type="primary", key="reveal_show"):
        try:
            values = data.write("reveal", acts.reveal, complaint=key, reason=why)
        except acts.Refused as refused:
            st.error(t(_REFUSED[refused.code]))
            return
        _close()
        st.session_state[_SHOWN] = (key, monotonic() + SECONDS, {name: values["title" if name == "matter" else name] for name in FIELDS})
        st.rerun()


@st.fragment(run_every=5)
def _values(key: int) -> None:
    """What was revealed, until its minute is over; then nothing of it is left in the session either."""
    shown = st.session_state.get(_SHOWN)
    if not shown or shown[0] != key:
        st.caption(t("reveal.gone"))
        return
    left = shown[1] - monotonic()
    if left <= 0:
        del st.session_state[_SHOWN]
        st.caption(t("reveal.gone"))
        return
    with st.container(border=True, gap="xsmall"):
        known = {name: value for name, value in shown[2].items() if value}
        for name, value in known.items():
            st.caption(t(f"reveal.{name}"))
            st.text(words.visible(value))
        st.caption(t("reveal.left", n=int(left) + 1) if known else t("reveal.nothing"))


def _release(key: int, number: str, opens: bool) -> None:
    st.markdown(t("reveal.release_text" if opens else "reveal.withdraw_text"))
    why = st.text_input(t("reveal.release_why"), max_chars=200, key="release_why")
    if st.button(t("reveal.release" if opens else "reveal.release_withdraw"), type="primary", key="release_do"):
        try:
            data.write("release", acts.release, complaint=key, shown=opens, reason=why)
        except acts.Refused as refused:
            st.error(t(_REFUSED[refused.code]))
            return
        _close()
        st.session_state[_SAID] = t("reveal.released_done" if opens else "reveal.withdrawn_done", number=literal(number))
        st.rerun()


def former(own: pd.DataFrame, zone, number: str) -> None:
    """A complaint that the viewer's unit had before: its own stretches and no more."""
    links.heading(literal(number))
    links.sentence(t("reveal.former"))
    name = own["unit_en"].fillna(own["unit"]) if words.language() == "en" else own["unit"]
    links.ranked_table(pd.DataFrame({
        "unit": name, "from": [words.moment(one, zone) for one in own["valid_from"]], "to": [words.moment(one, zone) for one in own["valid_to"]],
        "limit": [t("state.N") if pd.isna(one) else words.deadline(one, zone) for one in own["due_at"]], "state": [t(f"state.{one}") for one in own["state"]]}),
        names={"unit": t("oversight.col_unit"), "from": t("reveal.former_col_from"), "to": t("reveal.former_col_to"), "limit": t("reveal.former_col_limit"),
               "state": t("reveal.former_col_state")})
