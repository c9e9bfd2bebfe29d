"""What a reader must know about the data before the figures: fresh, complete, plausible, counted right."""

from datetime import timedelta

import pandas as pd
import streamlit as st

from dashboard import context, data, links, navigation, periods, review, tables, words
from dashboard.words import t
from queries import ledger, quality

STALE = timedelta(hours=24)
LEDGER_WEEKS = 8

navigation.require()
f = context.frame("last_week", show=())
phone = tables.is_phone()
when = lambda moment: t("unit.none") if pd.isna(moment) else words.moment(moment, f.zone)
sources, calendars = data.read(quality.sources), data.read(quality.calendars)
links.heading(t("data.title"), t("data.note", moment=words.moment(f.as_of, f.zone)))

# -- the finding: is it fresh, and are the limits final
stale = sources[(f.as_of - sources["seen_at"]) > STALE] if len(sources) else sources
lines = [t("data.stale", source=words.literal(one.name), moment=when(one.seen_at), n=int((f.as_of - one.seen_at).total_seconds() // 3600))
         for one in stale.itertuples()]
lines = lines or [t("data.fresh", moment=when(sources["seen_at"].max())) if len(sources) else t("data.imports_none")]
open_years = calendars[calendars["status"] != "published"]
lines += [f":orange[**{t('data.calendar_unpublished', year=str(one.year), n=int(one.provisional))}**]" for one in open_years.itertuples() if one.provisional]
links.sentence(*lines)

left, right = st.columns(2, gap="medium")
with left:
    links.section(t("data.freshness"))
    if len(sources):
        shown = sources.assign(state=[t("data.state_stale" if one in set(stale.source_id) else "data.state_fresh") for one in sources.source_id])
        links.ranked_table(shown[["name", "seen_at", *(() if phone else ("newest",)), "complaints", "state"]], {"seen_at": when, "newest": when, "complaints": words.number},
                           names={"name": t("data.col_source"), "seen_at": t("data.col_last"), "newest": t("data.col_newest"),
                                  "complaints": t("data.col_rows"), "state": t("data.col_state")})
with right:
    links.section(t("data.ledger"))
    checked, wrong = [], 0
    for day in review.weeks(f.as_of.astimezone(f.zone).date(), LEDGER_WEEKS):
        week = periods.parse("custom", day, day + timedelta(days=6), day)
        _, gap = data.read(ledger.check, **f.window(week))
        wrong += gap > 0
        label = f"{words.span_short(week.start, week.last)} " + (f":red[**{t('review.unbalanced', n=gap)}**]" if gap else f":gray[{t('review.balanced')}]")
        checked.append((label, {"period": "custom", "from": day.isoformat(), "to": week.last.isoformat()}))
    st.markdown(t("data.ledger_weeks_bad", n=wrong, weeks=LEDGER_WEEKS) if wrong else t("data.ledger_weeks_ok", weeks=LEDGER_WEEKS))
    links.row(checked, "review")

links.section(t("data.calendar"))
st.markdown("　".join(f"{words.literal(one.code)} {t('data.calendar_year', year=str(one.year))} "
                      + (t("data.calendar_published") if one.status == "published" else f":orange[**{t('data.calendar_estimated')}**]")
                      for one in calendars.itertuples()) or t("data.calendar_absent"))

links.section(t("data.imports"))
imports = data.read(quality.imports)
if imports.empty:
    st.markdown(t("data.imports_none"))
else:
    last = imports.iloc[0]
    st.markdown(t("data.imports_line", moment=when(last.finished_at), source=words.literal(last.source), added=int(last.added),
                  corrected=int(last.changed), held=int(last.quarantined)))
    keys = {"finished_at": "col_finished", "source": "col_source", "file": "col_file", "rows": "col_read", "added": "col_added", "changed": "col_corrected",
            "unchanged": "col_unchanged", "quarantined": "col_held", "marked": "col_marked", "conflicts": "col_conflicts"}
    whole = dict.fromkeys(("rows", "added", "changed", "unchanged", "quarantined", "marked", "conflicts"), words.number)
    keys = {column: keys[column] for column in ("finished_at", "source", "added", "quarantined")} if phone else keys
    links.ranked_table(imports[list(keys)], {"finished_at": when, **whole}, names={column: t(f"data.{key}") for column, key in keys.items()})
    if conflicts := int(imports["conflicts"].sum()):
        st.markdown(t("data.conflicts_line", n=conflicts))

links.section(t("data.quarantine"))
held = data.read(quality.quarantine)
if held.empty:
    st.markdown(t("data.quarantine_none"))
else:
    held = held.assign(reason=[words.name("quarantine", code) for code in held["reason"]], complaint_no=held["complaint_no"].fillna(""))
    reasons = held["reason"].value_counts()
    st.markdown(t("data.quarantine_line", n=len(held), reason=reasons.index[0], count=int(reasons.iloc[0])))
    st.markdown("　".join(f"{reason} **{n:,}**" for reason, n in reasons.items()))
    st.dataframe(held.drop(columns="batch_id"), hide_index=True, height="content" if len(held) < 10 else 340, alt=t("data.quarantine"), key="held", column_config={
        "source": t("data.col_source"), "file": t("data.col_file"), "line": t("data.col_line"), "complaint_no": t("overdue.col_number"),
        "field": t("data.col_column"), "value": t("data.col_value"), "reason": t("data.col_reason")})
    st.download_button(t("data.download"), lambda: held.to_csv(index=False).encode("utf-8-sig"), "quarantine.csv", "text/csv",
                       icon=":material/download:", on_click="ignore")

left, right = st.columns(2, gap="medium")
with left:
    links.section(t("data.marks"))
    marks = data.read(quality.marks)
    if marks.empty:
        st.markdown(t("data.marks_none"))
    else:
        st.markdown(t("data.marks_line", n=int(sources["marked"].sum())))
        links.ranked_table(marks.assign(mark=[words.name("mark", code) for code in marks["mark"]]), {"complaints": words.cases},
                           names={"mark": t("data.col_mark"), "complaints": t("data.col_count")})
with right:
    links.section(t("data.unmapped"))
    counts = {"units": int(sources["unmapped_units"].sum()), "categories": int(sources["unmapped_categories"].sum())} if len(sources) else {}
    st.markdown(t("data.unmapped_line", **counts) if any(counts.values()) else t("data.unmapped_none"))
