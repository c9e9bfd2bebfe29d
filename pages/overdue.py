"""Who is late, by how much, whom to ring: the overdue list by the unit that has it now, to urge and to reassign."""

import streamlit as st

from dashboard import charts, context, data, filters, forms, links, listing, navigation, permissions, session, tables
from dashboard import trail, words
from dashboard.words import literal, t
from queries import complaints

PLACE, LIST, PHONE_ROWS = "overdue", "overdue_list", 10
TABS = {LIST: "overdue.tab_overdue", "due_soon_list": "overdue.tab_soon", "promise_passed": "overdue.tab_promise",
        "notice_proposed": "overdue.tab_naming"}
NOTHING = {LIST: "empty.overdue", "due_soon_list": "empty.soon", "promise_passed": "empty.promise",
           "notice_proposed": "empty.naming"}
AGES = ("under_one", "d1_3", "d4_5", "d6_10", "d11_30", "over_30")


def choose_age() -> None:
    """A click on a bar shows its complaints alone."""
    points = st.session_state[f"ageing_{age}"]["selection"]["points"]
    if points:
        trail.go("ageing", points[0]["point_index"])
        trail.go("code", None)


navigation.require()
tables.unpick(PLACE, forms.said())
f = context.frame("week", show=("unit", "category", "channel"))
phone, may = tables.is_phone(), {act: permissions.may(session.viewer().role, act) for act in ("urge", "reassign")}
code = st.query_params.get("code") if st.query_params.get("code") in TABS else LIST
age = listing.asked(st.query_params).ageing if code == LIST else None
soon = code == "due_soon_list"
n, below, ages = data.derived(listing.late, f, tuple(TABS), code, key=(f.asked, code))
late, long = n["overdue_list_den"], n["overdue_list_5_den"]

# -- the finding, the way down the tree
unit = f.unit_name(f.parent) if f.parent else t("filter.everything")
links.heading(t("overdue.title"), t("overdue.note", moment=words.moment(f.as_of, f.zone)))
key = ("finding" if long
       else "finding_no_long") if late else "finding_none" if n["due_soon_list_den"] else "finding_clear"
links.sentence(t(f"overdue.{key}", unit=literal(unit), n=late, k=long, unsigned=n["urge_unsigned_den"],
                 promised=n["promise_passed_den"], soon=n["due_soon_list_den"]))
links.row([(t(f"overdue.open_{key}", n=n[f"{one}_den"]), f.link(code=one)) for key,
           one in (("long", "overdue_list_5"), ("unsigned", "urge_unsigned"))
           if n[f"{one}_den"]], "complaints")
trail.down(f, {int(one): int(k) for one, k in below.sort_values(ascending=False).items() if k})

# -- how late, and which list
counts = [int(ages.get(bucket, 0)) for bucket in range(len(AGES))]
left, right = st.columns([7, 5], gap="medium", vertical_alignment="bottom")
with left:
    short = [t("ageing.under_one_short" if phone and one == "under_one" else f"ageing.{one}") for one in AGES]
    chart = charts.ageing(short, counts, {"counts": [words.cases(k) if k else "0" for k in counts],
                                          "empty": t("empty.overdue"),
                                          "step": t("ageing.step_short" if phone else "ageing.step")})
    chart["data"] = [{**one, "hoverinfo": "none", "unselected": {"marker": {"opacity": 1}}}
                     for one in chart["data"]]  # a bar can be clicked
    if late:  # room for the words over the bars past the step
        chart["layout"]["yaxis"]["range"] = [0, max(1.12 * max(counts), 1.45 * max(counts[3:]))]
    st.plotly_chart(links.Drawn(chart), config=charts.CONFIG, key=f"ageing_{age}", alt=t("ageing.alt", n=late, k=long),
                    on_select=choose_age, selection_mode="points")
with right:
    st.segmented_control(t("overdue.title"), list(TABS), default=code, required=True, label_visibility="collapsed",
                         key=f"tab_{code}",
                         format_func=filters.picked(lambda one: t(TABS[one], n=n[f"{one}_den"]), code),
                         on_change=lambda: trail.go("code", st.session_state[f"tab_{code}"]))
    search = st.text_input(t("overdue.search"), key="q", bind="query-params", placeholder=t("overdue.search"),
                           label_visibility="collapsed",
                           icon=":material/search:", max_chars=60)
    rows = data.read(complaints.listing, code, ageing=age, search=search.strip() or None, **f.where)
    total = int(rows["total"].iloc[0]) if len(rows) else 0
    if age is not None:
        st.button(t("overdue.only_age", days=t(f"ageing.{AGES[age]}")), icon=":material/close:", icon_position="right",
                  type="tertiary",
                  on_click=trail.go, args=("ageing", None), key="all_ages")
    hint = t("overdue.phone_hint", n=min(PHONE_ROWS, total)) if phone else t("overdue.pick_hint" if may["urge"]
                                                                             else "overdue.open_hint")
    st.caption(hint if total == len(rows) else t("overdue.first_only", n=len(rows), total=total))
if rows.empty:
    st.markdown(t("overdue.search_none", text=literal(search)) if search.strip() else t(NOTHING[code]))
    st.stop()

# -- the list, and what is done to it
listing.overdue_file(listing.Asked(code, ageing=age, q=" ".join(search.split()) or None), f, total)
around = {**f.link(code=code, ageing=age, q=search.strip() or None), "back": "overdue"}
if phone:
    forms.cards(rows, f, around, PLACE, may["urge"], PHONE_ROWS)
else:
    of = (f.asked, code, age, search)
    shown = data.derived(tables.overdue_rows, rows, f.unit_name, f.zone, soon, key=of)
    ids = [int(one) for one in rows["complaint_id"]]
    config = tables.overdue_columns(int(shown["days_late"].max()), soon=soon,
                                    marks=[t(f"flag.{one}") for one in tables.FLAGS], key="number")
    picked = tables.pick_table(data.derived(tables.arrow, shown, key=of), ids, config, "overdue", t("overdue.table_alt", n=total))
    if clicked := st.session_state.get("number"):
        st.switch_page(navigation.target("complaint"),
                       query_params={**around, "number": rows["complaint_no"].iloc[clicked.row]})
    if may["urge"]:
        forms.bar(rows, rows[rows["complaint_id"].isin(picked)], f, PLACE, may["reassign"])
forms.show(PLACE)
