"""One complaint: where it stands with its limit and why, what happened, what to do now, whom to ring."""

from functools import partial
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard import charts, complaint, context, data, forms, links, listing, navigation, permissions, session, tables, words
from dashboard.settings import settings
from dashboard.words import literal, t
from queries import clocks, complaints, ledger, units

PLACE, ROWS = "complaint", 200

navigation.require()
forms.said()
params, zone, as_of = st.query_params.to_dict(), ZoneInfo(settings().zone), data.as_of()
number, asked = params.get("number", ""), listing.asked(params)
names = context.names_of_units(data.read(units.tree).itertuples())
categories = context.names(data.read(units.categories).itertuples(), "category_id")
channels = context.names(data.read(units.channels).itertuples(), "channel_id")
c = data.read(complaints.whole, number) if number else None


def neighbours() -> tuple[int, int, str | None, str | None]:
    """Place in the list it was opened from, how many there are, the numbers before and after; (0, …) where it is not in it."""
    where = complaint.where(params, as_of.astimezone(zone).date(), zone)
    if asked.line:
        ids = data.read(ledger.rows, asked.line, **{name: where[name] for name in ("start", "end", "unit", "category", "channel")})
        here = ids.index(int(c["complaint_id"])) if int(c["complaint_id"]) in ids else None
        around = [] if here is None else [i for i in (here - 1, here + 1) if 0 <= i < len(ids)]
        rows = data.read(complaints.by_id, [ids[i] for i in around]) if around else pd.DataFrame()
        known = dict(zip(rows["complaint_id"], rows["complaint_no"])) if len(rows) else {}
        at = lambda i: known.get(ids[i]) if 0 <= i < len(ids) else None
        return (0, 0, None, None) if here is None else (here + 1, len(ids), at(here - 1), at(here + 1))
    ask = dict(part=asked.part, state=asked.state, ageing=asked.ageing, search=(params.get("q") or "").strip() or None, **where)
    page = (listing.whole(params.get("page")) or 1) - 1 if params.get("from") != "overdue" else 0
    for first in (page * ROWS, max(0, page - 1) * ROWS, (page + 1) * ROWS):
        rows = data.read(complaints.listing, asked.code, **ask, offset=max(0, first - 1), limit=ROWS + 2)
        listed = list(rows["complaint_no"])
        if number in listed:
            i, total = listed.index(number), int(rows["total"].iloc[0])
            return max(0, first - 1) + i + 1, total, listed[i - 1] if i else None, listed[i + 1] if i + 1 < len(listed) else None
    return 0, 0, None, None


def turn(one: str) -> None:
    st.query_params["number"] = one


# -- the way back, and the next one
back = "overdue" if params.get("from") == "overdue" else "complaints"
there = {name: value for name, value in params.items() if name not in ("number", "from")}
with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
    links.link(f":material/arrow_back: {t(f'nav.{back}')}", back, there, icon=None)
    st.markdown(f":gray[›] **{literal(number)}**", width="content")
    if c is not None and {"code", "line"} & set(params):
        place, total, before, after = neighbours()
        if place:
            st.space("stretch")
            st.markdown(f":gray[{t('complaint.position', n=place, total=total)}]", width="content")
            for key, one in (("previous", before), ("next", after)):
                st.button(t(f"complaint.{key}"), icon=":material/chevron_left:" if key == "previous" else ":material/chevron_right:", type="tertiary",
                          icon_position="left" if key == "previous" else "right", on_click=turn, args=(one,), disabled=one is None, key=key)
if c is None:
    links.sentence(t("complaint.not_found"))
    st.stop()

key = int(c["complaint_id"])
urges, events = data.read(complaints.urges, key), data.read(complaints.timeline, key)
found, body, customer = data.read(clocks.explain, key), data.read(complaints.texts, key), data.read(complaints.person, key)
row = data.read(complaints.by_id, [key])
english, may = words.language() == "en", {act: permissions.may(session.viewer().role, act) for act in ("urge", "reassign")}
unit = lambda side: literal((english and c[f"{side}_en"]) or c[side]) if isinstance(c[side], str) else t("unit.none")

# -- what it is, where it stands
links.heading(literal(c["title"]) or literal(number))
facts = [("number", literal(number)), ("accountable", unit("charged")), ("complained", unit("about")), ("responsible", unit("unit")),
         ("category", literal(categories.get(c["category_id"], t("unit.none")))), ("channel", literal(channels.get(c["channel_id"], t("unit.none")))),
         ("received", words.moment(c["received_at"], zone))]
kind = {"s": "simple", "c": "complex"}.get(c["complexity"])
facts += [("amount", words.number(float(c["amount"]), 2))] if pd.notna(c["amount"]) else []
with st.container(gap="xsmall"):
    st.markdown(complaint.badges(c, urges, [*complaint.flags(c, (events["code"] == "directive").any()), *([t(f"complaint.{kind}")] if kind else [])]))
    st.markdown("　".join(f":gray[{t(f'complaint.{name}')}] {value}" for name, value in facts))
links.sentence(complaint.finding(c, zone, as_of))
if c["provisional"]:
    st.markdown(f":material/warning: :orange[**{t('complaint.provisional', year=str(c['due_at'].astimezone(zone).year))}**]")
if found and found["limit"] is not None:
    links.section(t("complaint.trace"))
    ended = c["ended_at"] if c["state"] in "AB" else None
    days, marks = complaint.strip(found["trace"], zone, day_zero=found["rule"]["day_zero"], ended=ended, late=complaint.whole(c["days_late"]))
    with st.grid(1, min_column_width=620, wrap=False):
        st.plotly_chart(charts.limit_strip(days, marks, {"empty": t("empty.chart")}), config=charts.CONFIG, key="strip",
                        alt=t("complaint.trace_alt", day=words.deadline(found["limit"], zone)))
if found:
    st.caption(complaint.basis(found))

left, right = st.columns([7, 4], gap="medium")
with left:
    one, two = st.columns(2, gap="medium")
    with one:
        links.section(t("complaint.matter"))
        st.text((body["text"] or t("complaint.no_text")) if body is not None else t("complaint.masked"))
    with two:
        links.section(t("complaint.demand"))
        st.text((body["demand"] or t("complaint.no_demand")) if body is not None else t("complaint.masked"))
        known = t("complaint.anonymous") if c["anonymous"] else "　".join(filter(None, (customer["name"], customer["phone"]))) if customer is not None else ""
        st.markdown(f":gray[{t('complaint.customer')}] {literal(known or t('complaint.no_customer'))}")
    links.section(t("complaint.timeline"))
    history = complaint.timeline(events, urges, c, zone, as_of, lambda one: categories.get(one, t("unit.none")), found["trace"] if found else None)
    links.ranked_table(history, {"time": literal, "event": str, "result": str},
                       names={"time": t("complaint.col_time"), "event": t("complaint.col_event"), "result": t("complaint.col_result")})
    title, seven = complaint.elements(data.read(complaints.reply, key))
    links.section(title)
    if len(seven):
        links.ranked_table(seven, dict.fromkeys(seven.columns, str), names={one: t(f"complaint.col_{one}") for one in seven.columns})
with right:
    advice = complaint.advice(c, urges, (events["code"] == "delay_reported").any(), zone, as_of)
    links.section(t("complaint.next_step"))
    with st.container(border=True, gap="small"):
        st.markdown(advice.words)
        if may["urge"] and len(row) and c["state"] not in ("A", "B", "X"):
            suggested, telephone = isinstance(advice.act, int), advice.act == "telephone"
            ask = partial(forms.urge, PLACE, row)
            if suggested:
                st.button(t(forms.LEVEL_WORDS[advice.act]), type="primary", icon=":material/notifications_active:", width="stretch",
                          on_click=partial(ask, advice.act), key="suggested")
            with st.container(horizontal=True, gap="xsmall"):
                st.button(t("act.urge"), icon=":material/notifications:", on_click=ask, width="stretch", key="urge")
                st.button(t("act.letter"), icon=":material/description:", on_click=partial(ask, forms.LETTER), width="stretch", key="letter",
                          disabled=c["state"] != "E")
            with st.container(horizontal=True, gap="xsmall"):
                st.button(t("act.telephone"), icon=":material/call:", type="primary" if telephone else "secondary", width="stretch",
                          on_click=partial(ask, via="telephone"), key="telephone")
                if may["reassign"]:
                    st.button(t("act.reassign"), icon=":material/swap_horiz:", on_click=partial(forms.reassign, PLACE, c), width="stretch", key="reassign")
    links.section(t("complaint.whom"))
    links.ranked_table(complaint.contact_rows(data.read(complaints.contacts, int(c["unit_id"])), unit("source_unit") if pd.notna(c["source_unit_id"]) else None,
                                              data.read(complaints.contacts, int(c["source_unit_id"])) if pd.notna(c["source_unit_id"]) else None),
                       {"who": str, "what": str}, header=False)
    links.section(t("complaint.clocks"))
    links.ranked_table(complaint.clock_rows(data.read(complaints.clocks, key), urges, zone, as_of), {"clock": str, "words": str}, header=False)
    links.section(t("complaint.time_at"))
    held = data.read(complaints.holders, key)
    held = pd.DataFrame({"unit": held["unit_en"].fillna(held["unit"]) if english else held["unit"],
                         "days": [t("complaint.days", n=complaint.whole(n)) for n in held["days"]]})
    links.ranked_table(held, header=False) if len(held) else st.caption(t("complaint.time_at_none"))
forms.show(PLACE)
