"""One complaint: where it stands with its limit and why, what happened, what to do now, whom to ring."""

from zoneinfo import ZoneInfo

import streamlit as st

from dashboard import charts, complaint, context, data, forms, identity, links, navigation, tables, trail, words
from dashboard.settings import settings
from dashboard.words import literal, t
from queries import clocks, complaints, units

PLACE = "complaint"

navigation.require()
forms.said()
params, zone, as_of = st.query_params.to_dict(), ZoneInfo(settings().zone), data.as_of()
number = params.get("number", "")
names = context.names_of_units(data.read(units.tree).itertuples())
categories = context.names(data.read(units.categories).itertuples(), "category_id")
channels = context.names(data.read(units.channels).itertuples(), "channel_id")
c = data.read(complaints.whole, number) if number else None


trail.bar(number, None if c is None else int(c["complaint_id"]), params, as_of, zone)
if c is None:
    own = data.read(complaints.own_stretches, number) if number else None
    if own is None or own.empty:
        links.sentence(t("complaint.not_found"))
    else:
        identity.former(own, zone, number)
    st.stop()

key = int(c["complaint_id"])
urges, events = data.read(complaints.urges, key), data.read(complaints.timeline, key)
found, body = data.read(clocks.explain, key), data.read(complaints.texts, key)
row, customer = data.read(complaints.by_id, [key]), data.read(complaints.person, key)
source = complaint.number(c["source_unit_id"])

# -- what it is, where it stands
links.heading(literal(c["title"]) or literal(number))
with st.container(gap="xsmall"):
    st.markdown(complaint.badges(c, urges, (events["code"] == "directive").any()))
    st.markdown(complaint.facts(c, categories.get, channels.get, zone, as_of))
links.sentence(complaint.finding(c, zone, as_of))
if c["provisional"]:
    year = str(c["due_at"].astimezone(zone).year)
    st.markdown(f":material/warning: :orange[**{t('complaint.provisional', year=year)}**]")
if found and found["limit"] is not None:
    links.section(t("complaint.trace"))
    ended = c["ended_at"] if c["state"] in "AB" else None
    days, marks = complaint.strip(found["trace"], zone, day_zero=found["rule"]["day_zero"], ended=ended,
                                  late=complaint.whole(c["days_late"]))
    places, wide = (11, 358) if tables.is_phone() else (len(days), 1230)  # a phone shows the days in several rows
    for i, part in enumerate(complaint.rows(days, marks, places)):
        chart = charts.limit_strip(*part, {"empty": t("empty.chart")}, width=wide, places=places)
        links.chart((chart, t("complaint.trace_alt", day=words.deadline(found["limit"], zone))), key=f"strip_{i}")
if found:
    st.caption(complaint.basis(found))

# on a phone the columns stand below each other: what to do comes first
left, right = st.columns([4, 7])[::-1] if tables.is_phone() else st.columns([7, 4], gap="medium")
with left:
    one, two = st.columns(2, gap="medium")
    with one:
        links.section(t("complaint.matter"))
        st.text(words.visible(body["text"]) or t("complaint.no_text"))
    with two:
        links.section(t("complaint.demand"))
        st.text(words.visible(body["demand"]) or t("complaint.no_demand"))
        st.markdown(f":gray[{t('complaint.customer')}] {complaint.customer_words(c, customer)}")
        identity.bar(c, released=data.read(complaints.released, key))
    links.section(t("complaint.timeline"))
    history = complaint.timeline(events, urges, c, zone, as_of, lambda one: categories.get(one, t("unit.none")),
                                 found["trace"] if found else None)
    links.ranked_table(history, {"time": literal, "event": str, "result": str},
                       names={"time": t("complaint.col_time"), "event": t("complaint.col_event"),
                              "result": t("complaint.col_result")})
    title, seven = complaint.elements(data.read(complaints.reply, key))
    links.section(title)
    if len(seven):
        heads = {one: t(f"complaint.col_{one}") for one in seven.columns}
        links.ranked_table(seven, dict.fromkeys(seven.columns, str), names=heads)
with right:
    advice = complaint.advice(c, urges, (events["code"] == "delay_reported").any(), zone, as_of)
    forms.box(c, row, advice.words, advice.act, PLACE)
    links.section(t("complaint.whom"))
    theirs = data.read(complaints.contacts, source) if source else None
    whom = complaint.contact_rows(data.read(complaints.contacts, int(c["unit_id"])), complaint.unit(c, "source_unit"),
                                  theirs)
    links.ranked_table(whom, {"who": str, "what": str}, header=False)
    links.section(t("complaint.clocks"))
    links.ranked_table(complaint.clock_rows(data.read(complaints.clocks, key), urges, zone, as_of),
                       {"clock": str, "words": str}, header=False)
    links.section(t("complaint.time_at"))
    held = complaint.holder_rows(data.read(complaints.holders, key))
    links.ranked_table(held, header=False) if len(held) else st.caption(t("complaint.time_at_none"))
forms.show(PLACE)
