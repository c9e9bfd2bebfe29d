"""Who keeps the time limits, on three bases side by side, and where the days go."""

import streamlit as st

from dashboard import context, data, filters, limits, links, navigation, tables, trail, words
from dashboard.words import t
from queries.indicators import BASES

LIST, HERE = "complaints", "limits"

navigation.require()
f = context.frame("last_month")
w = data.derived(limits.read, f, key=f.asked)
phone = tables.is_phone()
by = st.query_params.get("by") if st.query_params.get("by") in limits.BY else "unit"

# -- the finding
links.heading(limits.title(f.period), t("review.note", moment=words.moment(f.as_of, f.zone)))
links.sentence(*limits.finding(w, f.period))
links.row(limits.ways(f, w), LIST)
st.caption(limits.note(f, w))

# -- three cohorts side by side
for place, base in zip(st.columns(3, gap="small"), BASES):
    with place:
        limits.cohort(f, w, base)

# -- why they differ; month by month
left, right = st.columns([7, 5], gap="medium")
with left:
    links.section(t("limits.why"), t("limits.why_note"))
    limits.differences(f, w, phone)
with right:
    links.section(t("limits.months"), t("limits.months_note"))
    links.chart(data.derived(limits.months_figure, w, f.period, phone, key=(f.asked, phone)), f"months_{f.period}", HERE,
                lambda point: limits.to_month(f, w.months.index[point["point_index"]]))

# -- where the days go; what was left on arrival
left, right = st.columns(2, gap="medium")
with left:
    links.section(t("limits.path_title"), t("limits.path_note"))
    st.markdown(limits.path_sentence(w.links))
    links.chart(data.derived(limits.path_figure, w.links, key=f.asked), "path", LIST, lambda point: limits.path_way(f, point["point_index"]))
    limits.path_table(f, w.links, phone)
with right:
    links.section(t("limits.arrival_title"), t("limits.arrival_note"))
    links.row(*limits.arrival_late(f, w))
    links.chart(data.derived(limits.arrival_figure, w, key=f.asked), "arrival", LIST, lambda point: limits.arrival_way(f, point["point_index"]))
    links.row(limits.arrival_ways(f, w), LIST)
for place, code in zip(st.columns(3, gap="small"), limits.SMALL):
    with place:
        limits.card(f, w, code)

# -- by unit, category, channel, month: one level deeper at a click
links.section(t("limits.groups"), t("limits.groups_note"))
st.segmented_control(t("limits.groups"), limits.BY, default=by, required=True, label_visibility="collapsed",
                     format_func=filters.picked(lambda one: t(f"limits.by_{one}"), by), key=f"by_{by}",
                     on_change=lambda: trail.go("by", st.session_state[f"by_{by}"]))
if by == "unit":
    trail.down(f, {})
table = data.derived(limits.groups, f, by, key=(f.asked, by))
if table.empty:
    st.markdown(t("limits.no_groups"))
else:
    if said := data.derived(limits.groups_sentence, f, table, by, key=(f.asked, by)):
        st.markdown(said)
    tables.doors(*data.derived(limits.shown, f, table, by, phone, key=(f.address, by, phone)), key=f"groups_{by}",
                 alt=t("limits.groups_alt", by=t(f"limits.by_{by}"), n=len(table)))

# -- how it is counted
with st.expander(t("limits.method"), icon=":material/rule:", key="notes", on_change="rerun",
                 bind="query-params") as notes:
    if notes.open:
        heads = {one: t(f"limits.method_{one}") for one in ("name", "formula", "cohort", "unit")}
        links.ranked_table(limits.method(), names=heads, alt=t("limits.method"))
        st.caption(t("limits.method_text"))
