"""The way down the tree of units; the way from a complaint back to its list, and its neighbours there.

Both live in the address.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard import complaint, data, links, listing, search
from dashboard.context import Frame
from dashboard.words import literal, t
from queries import complaints, ledger

ROWS = 200


class Place(NamedTuple):
    """Where a complaint stands in its list: 3 of 9, and the numbers of its neighbours."""

    n: int
    total: int
    before: str | None
    after: str | None


def go(name: str, value: object) -> None:
    """For on_click: write one thing into the address, or take it out; the question is then about now."""
    for old in ("at", name):
        st.query_params.pop(old, None)
    if value is not None:
        st.query_params[name] = str(value)


def down(f: Frame, counts: Mapping[int, int]) -> None:
    """总行 › 宁波分行 › the units below that have any, with how many; ``counts`` has the unit's own under itself."""
    way, here = [], f.parent
    while here is not None:
        way, here = [here, *way], f.units[here].parent
    below = {one: n for one, n in counts.items() if one != f.parent}
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall"):
        for one in way[:-1]:
            st.button(literal(f.unit_name(one)), type="tertiary", on_click=go,
                      args=("unit", one if f.units[one].parent else None), key=f"up_{one}")
            st.markdown(":gray[›]", width="content")
        st.markdown(f"**{literal(f.unit_name(f.parent) if way else t('filter.everything'))}**", width="content")
        if below:
            st.markdown(":gray[›]", width="content")
            st.pills(t("overdue.units_alt"), list(below), key=f"down_{f.parent}", label_visibility="collapsed",
                     wrap=False,
                     format_func=lambda one: f"{literal(f.unit_name(one))} **{below[one]}**",
                     on_change=lambda: go("unit", st.session_state[f"down_{f.parent}"]))
        if below and f.parent in counts:
            st.markdown(f":gray[{t('review.own', unit=literal(f.unit_name(f.parent)))} {counts[f.parent]}]",
                        width="content")


def bar(number: str, complaint_id: int | None, params: Mapping[str, str], as_of: datetime, zone: ZoneInfo) -> None:
    """Draw the way back and, where the list is known, 第n件，共m件 上一件 下一件."""
    back = "overdue" if params.get("back") == "overdue" else "complaints"
    there = {name: value for name, value in params.items() if name not in ("number", "back")}
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        links.link(f":material/arrow_back: {t(f'nav.{back}')}", back, there, icon=None)
        st.markdown(f":gray[›] **{literal(number)}**", width="content")
        place = find(number, complaint_id, params, as_of,
                     zone) if complaint_id is not None and {"code", "line"} & set(params) else None
        if place is None:
            return
        st.space("stretch")
        st.markdown(f":gray[{t('complaint.position', n=place.n, total=place.total)}]", width="content")
        for key, one, icon, side in (("previous", place.before, ":material/chevron_left:", "left"),
                                     ("next", place.after, ":material/chevron_right:", "right")):
            st.button(t(f"complaint.{key}"), icon=icon, icon_position=side, type="tertiary", on_click=_turn,
                      args=(one,), disabled=one is None, key=key)


def find(number: str, complaint_id: int, params: Mapping[str, str], as_of: datetime, zone: ZoneInfo) -> Place | None:
    """Its place in the list that the address describes; None where it is not there (any more)."""
    where, asked = complaint.where(params, as_of.astimezone(zone).date(), zone), listing.asked(params)
    if asked.line:
        return _in_ledger(complaint_id, asked.line, {name: value for name, value in where.items() if name != "zone"})
    someone = search.person()
    ids = someone["ids"] if someone and asked.code == listing.ALL else None  # as the page narrows it
    if asked.code == listing.ALL and not asked.narrow(ids):
        return None  # in all complaints a place says nothing
    ask = asked.ask(ids) | where
    page = (listing.whole(params.get("page")) or 1) - 1
    for first in dict.fromkeys((page * ROWS, max(0, page - 1) * ROWS,
                                (page + 1) * ROWS)):  # it may have moved to the page beside
        offset = max(0, first - 1)
        rows = data.read(complaints.listing, asked.code, **ask, offset=offset, limit=ROWS + 2)
        listed = list(rows["complaint_no"])
        if number in listed:
            i = listed.index(number)
            return Place(offset + i + 1, int(rows["total"].iloc[0]), listed[i - 1] if i else None,
                         listed[i + 1] if i + 1 < len(listed) else None)
    return None


def _in_ledger(complaint_id: int, line: str, where: dict) -> Place | None:
    ids = data.read(ledger.rows, line, **where)
    if complaint_id not in ids:
        return None
    i = ids.index(complaint_id)
    around = [ids[j] for j in (i - 1, i + 1) if 0 <= j < len(ids)]
    rows = data.read(complaints.by_id, around) if around else pd.DataFrame(columns=["complaint_id", "complaint_no"])
    known = dict(zip(rows["complaint_id"], rows["complaint_no"]))
    return Place(i + 1, len(ids), known.get(ids[i - 1]) if i else None,
                 known.get(ids[i + 1]) if i + 1 < len(ids) else None)


def _turn(number: str) -> None:
    st.query_params["number"] = number
