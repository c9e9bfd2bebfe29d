"""For regulators: the complaints that the supervising office has opened to them, masked; one of them by its number."""

from zoneinfo import ZoneInfo

import streamlit as st

from dashboard import context, data, filters, links, navigation, oversight, words
from dashboard.settings import settings
from dashboard.words import literal, t
from queries import oversight as read
from queries import units

navigation.require()
zone, number = ZoneInfo(settings().zone), st.query_params.get("number", "")
with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="filter_bar"):
    if number:
        links.link(f":material/arrow_back: {t('nav.released')}", "released", icon=None)
    st.space("stretch")
    filters.language_switch()
    filters.role_menu()
places = oversight.places()
categories = context.names(data.read(units.categories).itertuples(), "category_id")
rows = data.read(read.released, number or None)

if not number:
    links.heading(t("nav.released"), t("oversight.released_note", moment=words.moment(data.as_of(), zone)))
    links.sentence(t("oversight.released_newest" if len(rows) == read.MOST else "oversight.released_count", n=len(rows)) if len(rows) else t("oversight.released_none"))
    if len(rows):
        oversight.released(rows, zone, lambda one: places.get(one, t("unit.none")), lambda one: categories.get(one, t("unit.none")))
    st.stop()
if rows.empty:
    links.sentence(t("complaint.not_found"))
    st.stop()

# -- one of them
row, body = next(rows.itertuples()), data.read(read.released_text, number)
links.heading(literal(row.title) or literal(number))
links.sentence(oversight.state(row))
said = {"number": number, "accountable": places.get(row.unit_id, t("unit.none")), "category": categories.get(row.category_id, t("unit.none")),
        "received": words.moment(row.received_at.astimezone(zone), zone, long=True)}
if row.due_at is not None and row.due_at == row.due_at:
    said["limit"] = words.deadline(row.due_at, zone)
if row.ended_at is not None and row.ended_at == row.ended_at:
    said["done"] = words.moment(row.ended_at, zone, long=True)
st.markdown("　".join(f":gray[{t(f'oversight.one_{name}')}] {literal(value)}" for name, value in said.items()))
links.section(t("complaint.matter"))
st.text(words.visible(body["text"]) or t("complaint.no_text"))
links.section(t("complaint.demand"))
st.text(words.visible(body["demand"]) or t("complaint.no_demand"))
st.caption(t("oversight.masked_note"))
