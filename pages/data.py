"""What a reader must know about the data before the figures: fresh, complete, plausible, counted right."""

import streamlit as st

from dashboard import context, data, links, navigation, quality, tables, trail, units, words
from dashboard.words import t

navigation.require()
f = context.frame("last_month", show=("period", "unit"))
phone = tables.is_phone()
q = data.derived(quality.read, f, key=f.asked)
links.heading(t("data.title"), t("data.note", moment=words.moment(f.as_of, f.zone)))

# -- the finding: is it fresh, and are the limits final; does the ledger balance
links.sentence(*quality.finding(q.sources, q.calendars, f.as_of, quality.when(f)))
left, right = st.columns(2, gap="medium")
with left:
    links.section(t("data.freshness"), t("data.calendar_of", said=quality.calendar_line(q.calendars)))
    if len(q.sources):
        quality.freshness(f, q.sources, phone)
with right:
    links.section(t("data.ledger"), t("data.ledger_note"))
    quality.balanced(f, q.weeks)

# -- whose records lack what
links.section(t("data.defects"), t("data.defects_note"))
if f.filters.unit_id is not None:
    trail.down(f, {})
table = data.derived(quality.defects, f, key=f.asked)
if table.empty:
    st.markdown(t("data.defects_empty"))
else:
    def name(unit):
        return units.name(f, unit, f.parent)

    st.markdown(quality.defects_sentence(table, name))
    tables.doors(*data.derived(quality.defects_table, f, table, name, phone, key=(f.address, phone)), key=f"defects_{f.parent}",
                 alt=t("data.defects_alt", n=len(table)), most=quality.MOST_ROWS)

# -- what came in, and what is odd about it
left, right = st.columns(2, gap="medium")
with left:
    links.section(t("data.marks"), t("data.any_time"))
    quality.marks(f, q.marked, q.marks)
with right:
    links.section(t("data.unmapped"), t("data.any_time"))
    quality.unmapped(f, q.sources, q.unmapped)
links.section(t("data.imports"))
quality.imports(f, q.imports, q.conflicts, phone)
links.section(t("data.quarantine"))
quality.quarantined(f, q.quarantine)
