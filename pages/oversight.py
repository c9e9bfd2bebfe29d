"""For regulators: who keeps the time limits, by whole months, with small numbers suppressed."""

from zoneinfo import ZoneInfo

import streamlit as st

from dashboard import data, links, navigation, oversight, tables
from dashboard.settings import settings
from dashboard.words import t
from queries import oversight as read

navigation.require()
asked = oversight.bar()
zone = ZoneInfo(settings().zone)
table = data.read(read.figures, first=asked.first, months=asked.months, deep=asked.deep, by=asked.by)

links.heading(t("nav.oversight"), t("oversight.note", period=asked.period))
links.sentence(oversight.sentence(table, asked))
if table.empty:
    st.markdown(t("oversight.empty"))
elif asked.by == "none":
    links.ranked_table(oversight.by_unit(table, asked, tables.is_phone()), names=oversight.headings(), alt=t("oversight.alt"))
else:
    for what in ("rate", "received"):
        links.section(t(f"oversight.section_{what}"))
        links.ranked_table(oversight.crossed(table, asked, what), alt=t("oversight.alt"))
st.caption(t("oversight.method"))
if not table.empty:
    oversight.file(table, asked, zone)
