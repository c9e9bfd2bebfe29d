"""Figures, sentences and small tables, drawn with what Streamlit has.

Every figure is a link to its rows: a card is ``st.page_link`` over ``st.metric``. ``to`` is the key of a page
(``navigation.PAGES``), ``params`` the address there; ``address(filters, at=tick, state="E")`` makes one that carries
the filters and the moment on. A viewer who may not open the page sees the figure without the link.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache

import pandas as pd
import streamlit as st
from plotly.basedatatypes import BaseFigure
from plotly.io import templates

from dashboard import charts, live, navigation
from dashboard.filters import Filters
from dashboard.words import literal, t

TONES = {"late": "red", "soon": "orange", "rest": "gray"}


def address(filters: Filters | None = None, *, at: object = None, **params: object) -> dict[str, str]:
    """Query parameters of a link: the filters, then ``at`` (the tick the figure was read at, with its time zone), then
    the page's own. None leaves a parameter out, so ``unit=None`` widens to all units."""
    both = {**(filters.params if filters else {}), "at": at, **params}
    return {name: value.isoformat() if isinstance(value, date) else str(value) for name, value in both.items()
            if value is not None}


def link(label: str, to: str | None, params: Mapping[str, str] | None = None, *,
         icon: str | None = ":material/chevron_right:", help: str | None = None, width: int | str = "content") -> None:
    """A link to a page of the product, or its plain label where there is none the viewer may open. Markdown label."""
    page = navigation.target(to) if to else None
    if page:
        st.page_link(page, label=label, icon=icon or "", icon_position="right", query_params=dict(params or {}),
                     help=help or "", width=width)
    else:
        st.markdown(_beside(label), width=width)


def _beside(label: str) -> str:
    """A label that stands as a link's does: half an em, 7 px, in from either side."""
    return f"\u2060\u2002{label}\u2002\u2060" if label else label  # joiners, or the spaces would be stripped


def figure_card(label: str, value: str, unit: str = "", *, note: str = "", tone: str = "", delta: str | None = None,
                down: bool | None = None, compared: str | None = None, trend: Sequence[float | None] = (),
                to: str | None = None, params: Mapping[str, str] | None = None, help: str | None = None) -> None:
    """A headline figure: 按时办结率 › 94.4% 389/412 ↓1.2个百分点 较上周, and its last weeks as a line.

    tone: "late", "soon" or "". delta: without a sign ("3件"); down says which way the arrow points, None draws none.
    trend: the last weeks' values, oldest first; leave it out on a phone.
    """
    with st.container(border=True, gap=None, height="stretch"):
        link(label, to, params)
        with st.container(horizontal=True, gap=None, wrap=False):
            st.space(7)
            st.metric(label, _value(value, unit, note, tone), delta, label_visibility="collapsed", delta_color="off",
                      delta_arrow="off" if down is None else "down" if down else "up",
                      delta_description=compared if delta else None, help=help)
        line = charts.sparkline(trend)  # not st.metric's own: its drawing has parts that a screen reader cannot name
        if line is not None:
            st.plotly_chart(Drawn(line), config=charts.CONFIG, key=f"trend_{label}", alt=t("review.spark_alt"))


def todo_card(label: str, n: int, *, tone: str = "", to: str | None = None,
              params: Mapping[str, str] | None = None) -> None:
    """One thing to do today and how many; coloured only if there are any."""
    with st.container(border=True, gap=None, height="stretch"):
        link(label, to, params)
        with st.container(horizontal=True, gap=None, wrap=False):
            st.space(7)
            st.metric(label, _value(f"{n:,}", t("unit.case_mark"), "", tone if n else ""), label_visibility="collapsed")


def cards(count: int):
    """The grid for headline figures: ``with links.cards(4): …``; two a row on a phone."""
    return st.grid(count, min_column_width=150)


def todo_cards(count: int):
    """The grid for to-do cards: one row on a screen, two a row on a phone."""
    return st.grid(count, min_column_width=132, gap="xsmall")


def heading(title: str, note: str = "") -> None:
    """The page's h1 with its small print on the same line, and what happened since it was opened."""
    st.space(4)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(title, anchor=False, width="content")
        if note:
            st.caption(note, width="content")
        live.beside()


def sentence(*lines: str) -> None:
    """The finding, an h2 of one line or several (a setext heading: the only kind that keeps line breaks). Markdown."""
    st.markdown("  \n".join(lines) + "\n---")
    st.space(4)


def section(title: str, note: str = "") -> None:
    """A section's h3; the note beside it in grey."""
    if not note:
        st.subheader(title, anchor=False)
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.subheader(title, anchor=False, width="content")
        st.markdown(f":gray[{note}]", width="content")


def row(items: Sequence[tuple[str, Mapping[str, str]]], to: str, text: str = "") -> None:
    """Small links on a line, after a sentence: the ways to its rows. items: (Markdown label, address)."""
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        if text:
            st.markdown(text, width="content")
        if items:
            with st.container(horizontal=True, gap="xsmall", width="content" if text else "stretch"):
                for label, params in items:
                    link(f":small[{label}]", to, params)


def ledger(items: Sequence[tuple[str, int, Mapping[str, str]]], gap: int, to: str | None = None) -> None:
    """The ledger line; ``gap`` is by how many complaints it does not balance. items: (label, n, address) in order."""
    verdict = (f":red-badge[:material/close: {t('review.unbalanced', n=abs(gap))}]" if gap else
               f":gray-badge[:material/check: {t('review.balanced')}]")
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.markdown(verdict, width="content")
        for label, n, params in items:  # the line breaks between its terms only
            link(f":small[{literal(label)} **{n:,}**]".replace(" **", "\u00a0**"), to if n else None, params, icon=None)


def linked_table(heads: Sequence[tuple[str, int | None, str]], rows: Sequence[Sequence[tuple[str, Mapping[str, str] | None]]],
                 to: str) -> None:
    """A small table whose figures are links. heads: (heading, px or None for the rest, "left" | "right");
    rows: cells of (Markdown, address or None for plain text), and a third where a cell opens another page than ``to``."""
    with st.container(gap=None):
        for place, cells in enumerate([[(f":gray[{head}]", None) for head, _, _ in heads], *rows]):
            with st.container(horizontal=True, wrap=False, gap=None, vertical_alignment="center"):
                for (_, px, side), (label, params, *other) in zip(heads, cells):
                    page = (other or [to])[0] if params else None
                    if page is None or navigation.target(page) is None:
                        st.markdown(_beside(label if params else f":small[{label}]"), width=px or "stretch", text_alignment=side)
                        continue
                    if side == "left":
                        link(label, page, params, icon=None, width=px or "stretch")
                        continue
                    with st.container(width=px or "stretch", horizontal_alignment=side, gap=None):
                        link(label, page, params, icon=None)


def picker(grid: pd.DataFrame, category: Callable[[int], str], channel: Callable[[int], str], to: str,
           address: Callable[[int, int | None], Mapping[str, str]], key: str) -> None:
    """The way from a heat strip (rows: category ids, columns: channel ids) to the rows of a cell, by mouse and keyboard."""
    if not navigation.target(to):
        return
    with st.popover(t("review.open_list"), icon=":material/list_alt:", type="tertiary", key=key, on_change="rerun") as popover:
        if popover.open:
            with st.container(width=440, gap="xsmall"):
                chosen = st.pills(t("filter.category"), [int(one) for one in grid.index], default=int(grid.index[0]), required=True,
                                  format_func=lambda one: literal(category(one)), key=f"{key}_row", wrap=True)
                row_ = grid.loc[chosen]
                with st.container(horizontal=True, gap="xsmall"):
                    link(f"{t('review.total')} **{row_.sum():,}**", to, address(chosen, None))
                    for one, n in row_[row_ > 0].items():
                        link(f"{literal(channel(one))} **{n:,}**", to, address(chosen, int(one)))


def go(to: str, params: Mapping[str, str]) -> None:
    """Open a page now, after a click in a table or a chart; nothing happens where the viewer may not open it."""
    page = navigation.target(to)
    if page:
        st.switch_page(page, query_params=dict(params))


class Drawn(BaseFigure):
    """A figure of ``charts`` as st.plotly_chart takes it without checking every property again, which costs more than the rest of
    the chart: tests/pages/test_charts.py checks them all. The template is Streamlit's own, which plotly would put in, for these marks."""

    def __init__(self, figure: dict):
        template = _template(frozenset(trace["type"] for trace in figure["data"]))
        object.__setattr__(self, "_drawn", {**figure, "layout": {**figure["layout"], "template": template}})

    def to_dict(self) -> dict:
        return self._drawn


@cache
def _template(kinds: frozenset[str]) -> dict:
    whole = templates["streamlit"].to_plotly_json()
    return {"data": {kind: whole["data"][kind] for kind in sorted(kinds & whole["data"].keys())}, "layout": whole["layout"]}


def chart(drawn: tuple[dict, str], key: str, to: str | None = None,
          address: Callable[[dict], Mapping[str, str] | None] | None = None) -> None:
    """A figure of ``charts`` with its text alternative. With ``address`` its marks are doors: a click on one opens the
    page ``to`` with ``address(point)`` (None: this mark has no list; a point has point_index, x, y and customdata).
    What a chart opens must be reachable by a link or a table too: marks cannot be reached by keyboard."""
    figure, alt = drawn
    if address is None or to is None:
        st.plotly_chart(Drawn(figure), config=charts.CONFIG, alt=alt, key=key)
        return
    turn = st.session_state.get(f"{key}.turn", 0)  # a chart that was clicked is drawn anew: Back must not find its mark chosen
    chosen = st.plotly_chart(Drawn(charts.clickable(figure)), config=charts.CONFIG, alt=alt, key=f"{key}.{turn}", on_select="rerun", selection_mode="points")
    for point in chosen["selection"]["points"][:1]:
        params = address(point)
        if params is not None:
            st.session_state[f"{key}.turn"] = turn + 1
            go(to, params)


def ranked_table(frame: pd.DataFrame, formats: Mapping[str, Callable[[object], str] | str] | None = None, *,
                 names: Mapping[str, str] | None = None, alt: str | None = None, header: bool = True) -> None:
    """A small table to read. Numbers stay numbers (right-aligned) and are written by ``formats``, which may give
    Markdown; text without a format is shown exactly as it is. names: column -> heading."""
    formats = dict(formats or {})
    for column in frame.columns:
        if column not in formats and not pd.api.types.is_numeric_dtype(frame[column]):
            formats[column] = literal
    names = dict(names or {})
    shown = frame.rename(columns=names)
    written = {names.get(column, column): how for column, how in formats.items()}
    st.table(shown.style.format(written, na_rep=t("unit.none")), border="horizontal", hide_index=True,
             hide_header=not header, alt=alt)




def _value(value: str, unit: str, note: str, tone: str) -> str:
    shown = f":{TONES[tone]}[{value}]" if tone else value
    if unit:
        shown += f":small[ {unit}]"
    return f"{shown}\u2002 :small[:gray[{note}]]" if note else shown
