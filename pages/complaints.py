"""The list behind any figure and the search over all complaints: which list this is, how many rows in all, the rows."""

import pandas as pd
import streamlit as st

from dashboard import context, data, exports, links, listing, navigation, search, tables, words
from dashboard.trail import ROWS
from dashboard.words import t
from queries import complaints, ledger

PHONE_ROWS = 20

navigation.require()
search.guard()
found = search.person()
asked = listing.asked(st.query_params, listing.ALL if found else None)
found = found if asked.code == listing.ALL and not asked.line else None  # a figure's list is never narrowed by a person
ids = found["ids"] if found else None
f = context.frame("last_week", show=("period",) * asked.timed + ("unit", "category", "channel"))
phone, title = tables.is_phone(), listing.title(asked, f.period, words.moment(f.as_of, f.zone))
links.link(t("complaints.back"), "review", f.link(), icon=None)
links.heading(*title)

# -- what is looked for, and which list
if asked.line is None:
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        search.box()
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=not phone):
            search.chip(found)
            search.person_menu()
            search.presets(f)
            search.menus(asked)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if asked.code in listing.KINDS:
            listing.choice("code", listing.KINDS, asked.code, listing.name, t("complaints.kind"))
        if asked.rated:
            listing.choice("part", listing.PARTS, asked.part, lambda part: t(f"complaints.part_{part}"), t("complaints.part"))
    search.said()
    page = listing.whole(st.query_params.get("page")) or 1
    question = {**asked.ask(ids), "limit": ROWS, **f.where, **listing.exact()}
    with st.skeleton(tables.ROW_HEIGHT * 8):
        rows = data.read(complaints.listing, asked.code, offset=(page - 1) * ROWS, **question)
        if rows.empty and page > 1:  # a page that is no more
            page, rows = 1, data.read(complaints.listing, asked.code, offset=0, **question)
    total, file = int(rows["total"].iloc[0]) if len(rows) else 0, listing.frames(asked, f, ids)
else:
    every = data.read(ledger.rows, asked.line, **f.span, **f.place)
    total, page = listing.place(st.query_params.get("page"), len(every), ROWS)
    rows = data.read(complaints.by_id, every[(page - 1) * ROWS:page * ROWS]) if every else pd.DataFrame()
    file = listing.frames_of(every, f)

more = len(rows) > 0 and "more" in rows and bool(rows["more"].iloc[0])  # others lie behind the ones that were counted
links.sentence(listing.sentence(asked, total, more), f":small[:gray[{listing.formula(asked)}]]")
with st.container(horizontal=True, vertical_alignment="center", gap="small"):
    search.elsewhere(asked, total, f)
    if more:
        links.link(f":small[{t('complaints.count_all')}]", "complaints", {**st.query_params.to_dict(), "count": "all"}, icon=None)
    exports.buttons(file, listing.file_columns(asked), title=title[0], about=listing.about(asked, f, bool(found)), as_of=f.as_of,
                    zone=f.zone, total=0 if more else total, key="list")
if rows.empty:
    st.markdown(listing.nothing(asked, found["shown"] if found else None))
    st.stop()

# -- the rows
around = {**st.query_params.to_dict(), **f.link(), **asked.address()}
if phone:
    listing.cards(rows, f, around, PHONE_ROWS)
else:
    of = (f.asked, asked, tuple(rows["complaint_id"]))
    table = data.derived(listing.table, rows, asked, f, key=of)
    st.dataframe(data.derived(tables.arrow, table, key=of), hide_index=True, row_height=tables.ROW_HEIGHT, height=tables.height(len(table)), key="list",
                 column_config=listing.columns(table, key="open"), alt=t("complaints.table_alt", n=total), placeholder="")
if total > ROWS:
    st.pagination(-(-total // ROWS), key="page", bind="query-params")
if clicked := st.session_state.get("open"):
    st.switch_page(navigation.target("complaint"), query_params={**around, "number": rows["complaint_no"].iloc[clicked.row]})
