"""Whether the people who complained are satisfied, who was reached, and whom to follow up."""

import streamlit as st

from dashboard import context, data, links, listing, navigation, satisfaction, tables, trail, words
from dashboard.words import t
from queries import satisfaction as calls

LIST = "complaints"

navigation.require()
f = context.frame("last_month")
by = st.query_params.get("by") if st.query_params.get("by") in satisfaction.BY else "unit"
seen, phone = data.derived(satisfaction.read, f, by, key=(f.asked, by)), tables.is_phone()
here = f"{f.parent}_{f.period.start}_{f.period.end}"  # what a click leads to is drawn anew: nothing is selected there


def doors(text, ways):
    """A sentence, and from it to its rows: (words, how many, the list); what is zero has no door."""
    links.row([(t(f"satisfaction.open_{key}", n=n), f.link(**params)) for key, n, params in ways if n], LIST, text)


# -- the finding
links.heading(t("review.heading", title=t("nav.satisfaction"), span=words.span(f.period.start, f.period.last)),
              t("satisfaction.note", moment=words.moment(f.as_of, f.zone)))
if f.filters.unit_id is not None:
    trail.down(f, {})
links.sentence(*satisfaction.headline(seen, f.period))
doors("", satisfaction.doors(seen, f))
with links.cards(4):
    for key, card, params in satisfaction.cards(seen, f.period, phone):
        links.figure_card(t(f"satisfaction.card_{key}"), to=LIST, params=f.link(**params), **card)
st.caption(" ".join(filter(None, (satisfaction.unheard(seen), seen.note))))

# -- the two sources apart; month by month
left, right = st.columns(2, gap="medium")
with left:
    links.section(t("satisfaction.sources"), t("satisfaction.sources_note"))
    links.linked_table(*satisfaction.sources(seen, f, phone), LIST)
    both = seen.pair("gap_unit")[1]
    doors(satisfaction.gap_sentence(seen), (("both", both, {"code": "gap_unit"}),
                                            ("contradicted", seen.now["gap_contradicted_den"],
                                             {"code": "gap_contradicted"})))
    table = data.derived(satisfaction.gaps, seen.units, key=f.asked)
    first = table[~table["few"]].head(satisfaction.SHOWN)
    if len(first):
        links.linked_table(*satisfaction.gap_rows(first, f, phone), LIST)
    if len(first) < len(table):
        with st.expander(t("satisfaction.gap_more", n=len(table) - len(first)), key="gap_few",
                         on_change="rerun") as more:
            if more.open:
                links.linked_table(*satisfaction.gap_rows(table.drop(first.index), f, phone), LIST)
with right:
    links.section(t("satisfaction.monthly"), t("satisfaction.monthly_note"))
    links.chart(data.derived(satisfaction.month_figure, seen, f.period, phone, key=(f.asked, phone)), f"months_{here}", "satisfaction",
                satisfaction.month_address(seen, f))

# -- by unit, category, channel, month; a phone has the people to follow up before it, and the table alone
first, second = st.container(), st.container()
found = data.derived(satisfaction.groups, seen, f, by, key=(f.address, by))
with second if phone else first:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        links.section(t("satisfaction.by_title"), t("satisfaction.by_note"))
        listing.choice("by", satisfaction.BY, by, lambda one: t(f"satisfaction.by_{one}"), t("satisfaction.by_title"))
    if by != "month":
        st.markdown(data.derived(satisfaction.group_sentence, found, key=(f.address, by)))
    left, right = (st.container(), None) if phone else st.columns([8, 5], gap="medium")
    with left:
        if len(found.table):
            tables.doors(*data.derived(satisfaction.group_frame, found, phone, key=(f.address, by, phone)), key=f"by_{by}_{here}",
                         alt=t("satisfaction.table_alt", n=len(found.table)))
    if right and len(found.table):
        with right:
            links.chart(data.derived(satisfaction.group_figure, found, key=(f.address, by)), f"intervals_{by}_{here}", found.to,
                        lambda point: found.deeper(point["point_index"]))

# -- whom to follow up
with first if phone else second:
    for place, code in zip(st.columns([8, 5], gap="medium"), ("low_score", "call_again")):
        with place:
            links.section(t(f"satisfaction.{code}_title"))
            doors(satisfaction.work_sentence(seen, code), satisfaction.work_doors(seen, code))
            rows = data.read(calls.calls, code, limit=satisfaction.WORK // (1 + phone), **f.where)
            if len(rows):
                tables.doors(*data.derived(satisfaction.work, rows, f, code, phone, key=(f.address, code, phone)), key=code,
                             alt=t(f"satisfaction.{code}_alt", n=len(rows)))

with st.expander(t("review.statistics"), icon=":material/query_stats:", key="notes", on_change="rerun",
                 bind="query-params") as notes:
    if notes.open:
        st.markdown("\n\n".join(satisfaction.method(seen)))
