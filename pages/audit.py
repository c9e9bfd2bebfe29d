"""For auditors: who did and looked at what, and whether the record of it is whole."""

import streamlit as st

from dashboard import audit, context, data, links, navigation, tables
from dashboard.words import t
from queries import audit as read

navigation.require()
f = context.frame("month", show=("period",))
audit.heading(f)
asked = audit.chosen(f)
place = audit.page()
rows = data.read(read.rows, **asked, limit=audit.PAGE, offset=place * audit.PAGE)

links.sentence(audit.people_words(rows))
st.markdown(audit.chain(f))
if len(rows):
    total = int(rows["total"].iloc[0])
    audit.table(rows, f.zone, tables.is_phone())
    audit.turn(place, total)
    audit.file(asked, f, total)
st.caption(t("audit.verify"))
