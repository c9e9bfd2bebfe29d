"""The list behind any figure: which list this is, how many rows in all, the rows; and the search over them."""

import pandas as pd
import streamlit as st

from dashboard import context, data, links, listing, navigation, tables, words
from dashboard.words import t
from queries import complaints, ledger

ROWS = 200

navigation.require()
f = context.frame("last_week")
asked = listing.asked(st.query_params)
links.link(t("complaints.back"), "review", f.link(), icon=None)
links.heading(*listing.title(asked, f.period, words.moment(f.as_of, f.zone)))
search = None
with st.container(horizontal=True, vertical_alignment="center", gap="small"):
    if asked.line is None:
        search = st.text_input(t("filter.search"), key="q", bind="query-params", placeholder=t("filter.search"), width=280,
                               label_visibility="collapsed", icon=":material/search:", on_change=listing.first_page)
        if asked.code in listing.KINDS:
            listing.choice("code", listing.KINDS, asked.code, listing.name, t("complaints.kind"))
        if asked.rated:
            listing.choice("part", listing.PARTS, asked.part, lambda part: t(f"complaints.part_{part}"), t("complaints.part"))

if asked.line:
    ids = data.read(ledger.rows, asked.line, **f.span, **f.place)
    total, page = listing.place(st.query_params.get("page"), len(ids), ROWS)
    rows = data.read(complaints.by_id, ids[(page - 1) * ROWS:page * ROWS]) if ids else pd.DataFrame()
else:
    ask = dict(part=asked.part, state=asked.state, ageing=asked.ageing, search=(search or "").strip()[:60] or None, limit=ROWS, **f.where)
    page = listing.whole(st.query_params.get("page")) or 1
    rows = data.read(complaints.listing, asked.code, offset=(page - 1) * ROWS, **ask)
    if rows.empty and page > 1:  # a page that is no more
        page, rows = 1, data.read(complaints.listing, asked.code, offset=0, **ask)
    total = int(rows["total"].iloc[0]) if len(rows) else 0

links.sentence(listing.sentence(asked, total), f":small[:gray[{listing.formula(asked)}]]")
if rows.empty:
    st.markdown(t("complaints.none_search", text=words.literal(search)) if search else t("complaints.none"))
    st.stop()

table = listing.table(rows, asked, f, tables.is_phone())
st.dataframe(table, hide_index=True, row_height=tables.ROW_HEIGHT, height=tables.height(len(table)), key="list",
             column_config=listing.columns(table, key="open"), alt=t("complaints.table_alt", n=total))
if total > ROWS:
    st.pagination(-(-total // ROWS), key="page", bind="query-params")
if clicked := st.session_state.get("open"):
    st.switch_page(navigation.target("complaint"), query_params={**st.query_params.to_dict(), **f.link(), **asked.address(),
                                                                 "number": rows["complaint_no"].iloc[clicked.row]})
