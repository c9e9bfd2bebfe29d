"""One unit beside its peers: figures, position in its group, whom to ring, the units below it, its complaints."""

import streamlit as st

from dashboard import context, data, links, navigation, tables, trail, units, words
from dashboard.words import literal, t

navigation.require()
f = context.frame("last_month")
unit, phone = data.derived(units.subject, f, key=f.asked), tables.is_phone()
links.heading(units.title(f, unit), t("units.note", moment=words.moment(f.as_of, f.zone)))

if unit is not None:
    # -- the finding, the figures
    one, weeks = (data.derived(make, f, unit, key=f.asked) for make in (units.profiled, units.weekly))
    links.sentence(*units.finding(one, f.unit_name(unit), f.period, units.moment(f) < f.as_of, units.trend(weeks)))
    if f.filters.unit_id is not None:
        trail.down(f, {})
    units.cards(f, unit, one, weeks, phone)

    # -- every indicator within the group, where it stands there; whom to ring, its complaints
    left, right = st.columns([7, 5], gap="medium")
    with left:
        if one.alone:
            st.markdown(t("units.alone"))
        units.lines(f, one, phone)
    with right:
        if not one.alone:
            links.section(t("units.chart"), t("units.chart_note", size=t(f"units.size_{one.size}"), n=one.members))
            links.chart(data.derived(units.positions, f, one, phone, key=(f.asked, phone)), f"positions_{unit}", units.HERE,
                        lambda point: f.link(at=None, unit=point["customdata"]) if point.get("customdata") else None)
        links.section(t("units.contacts"), t("units.contacts_note"))
        people = units.contacts(unit)
        if not people:
            st.markdown(t("units.contacts_none"))
        for which, person, telephone in people:
            st.markdown(f":gray[{which}]　**{literal(person)}**　{telephone}")
        links.section(t("units.complaints"), t("units.complaints_note"))
        late, lists = units.ways(f, unit)
        links.row(lists, units.LIST)
        links.row(late, "overdue")
        links.section(t("units.worst"), t("units.worst_note"))
        worst = units.worst(f, unit)
        if worst:
            links.row(worst, units.LIST)
        else:
            st.markdown(t("units.worst_none"))

# -- the units below, side by side
some, table = data.derived(units.overview, f, key=f.asked)
if unit is None and table.empty:
    links.sentence(t("units.nothing"))
elif unit is None or set(table.index) - {unit}:
    said = units.overview_sentence(table, {one: units.name(f, one, f.parent) for one in table.index})
    if unit is None:
        links.sentence(said)
        st.caption(t("units.below_note"))
    else:
        links.section(t("units.below", unit=literal(f.unit_name(unit))), t("units.below_note"))
        st.markdown(said)
    tables.doors(*data.derived(units.side_by_side, f, some, table, f.parent, phone, key=(f.address, phone)), key=f"units_{f.parent}",
                 alt=t("units.below_alt", n=len(table)))

with st.expander(t("review.statistics"), icon=":material/query_stats:", key="notes"):
    st.markdown(t("units.method"))
