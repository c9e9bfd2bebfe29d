"""Accounts, units, rules, calendars, sources: what an administrator sets. Counts of complaints at most, never one of them."""

import streamlit as st

from dashboard import administration, changes, forms, links, navigation, tables
from dashboard.words import t

navigation.require()
forms.said()
section = administration.bar()
phone = tables.is_phone()
links.heading(t("settings.title"), t("settings.note"))
administration.choose_section(section)

if section == "users":
    everybody = administration.users()
    links.sentence(administration.users_sentence(everybody))
    st.button(t("settings.user_add"), icon=":material/person_add:", type="primary", on_click=changes.add_user, key="user_add")
    one = administration.users_table(everybody, phone)
    if one is not None:
        administration.user_detail(one)

elif section == "units":
    tree = administration.Tree.read()
    here = administration.unit_browser(tree, phone)
    if here is not None:
        left, right = st.columns(2, gap="medium")
        with left:
            administration.unit_detail(tree, here)
        with right:
            administration.contacts(here)
    links.section(t("settings.moves"))
    administration.moves(tree)

elif section == "policies":
    versions = administration.versions()
    pack = administration.choose_pack(versions)
    links.sentence(administration.policy_sentence(versions, pack))
    policy = administration.versions_table(versions, pack, phone)
    administration.limits(policy, phone)

elif section == "calendars":
    years = administration.years()
    links.sentence(*administration.calendar_sentence(years))
    for calendar_id, some in years.groupby("calendar_id", sort=False):
        administration.calendar(int(calendar_id), some, phone)

elif section == "sources":
    sources = administration.sources()
    links.sentence(t("settings.sources_line", n=len(sources)) if len(sources) else t("settings.sources_none"))
    st.caption(t("settings.sources_note"))
    one = administration.sources_table(sources, phone)
    if one is not None:
        administration.source_detail(one)

changes.show()
