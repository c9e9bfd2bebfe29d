"""What the page 「设置」 says: accounts, the tree of units, the rules by version, calendars, sources.

The section and what is opened in it (``item``) stand in the address. What changes something is a form (``changes``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard import changes, context, data, filters, links, session, tables, trail, words
from dashboard.context import Unit
from dashboard.settings import settings
from dashboard.words import literal, t
from queries import administration

SECTIONS = ("users", "units", "policies", "calendars", "sources")
RANKS = ("1", "2", "3")  # first and second contact, responsible leader
FOUND = 30  # so many units a search shows


def zone() -> ZoneInfo:
    """The office's."""
    return ZoneInfo(settings().zone)


def when(moment: object) -> str:
    """Writes a moment with its year, or a dash."""
    return t("unit.none") if pd.isna(moment) else words.moment(moment, zone(), long=True)


# -- the frame ------------------------------------------------------------------------------------------------------

def bar() -> str:
    """The line above the page, without filters; the section the address asks for."""
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="xsmall", key="settings_bar"):
        st.space("stretch")
        st.caption(t("app.as_of", moment=words.moment(data.as_of(), zone())), width="content")
        filters.language_switch()
        filters.role_menu()
    asked = st.query_params.get("section")
    return asked if asked in SECTIONS else SECTIONS[0]


def choose_section(section: str) -> None:
    """The five sections as buttons."""
    def go() -> None:
        st.query_params.pop("item", None)
        trail.go("section", st.session_state[f"section_{section}"])

    st.segmented_control(t("settings.title"), SECTIONS, default=section, required=True, label_visibility="collapsed", key=f"section_{section}",
                         format_func=filters.picked(lambda one: t(f"settings.section_{one}"), section), on_change=go)


def item() -> int | None:
    """The id of what is opened in the section."""
    asked = st.query_params.get("item", "")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else None


def opening_table(frame: pd.DataFrame, ids: Sequence[int], heads: Mapping[str, tuple[str, int | None]], key: str, alt: str) -> None:
    """A table whose first column opens its row: ``item`` in the address. heads: column -> (heading, px)."""
    first, *rest = heads
    config = {first: st.column_config.ButtonColumn(heads[first][0], width=heads[first][1], type="tertiary", key=f"{key}.open", alignment="left")}
    config |= {name: st.column_config.TextColumn(heads[name][0], width=heads[name][1]) for name in rest}
    st.dataframe(tables.plain(frame), hide_index=True, row_height=tables.ROW_HEIGHT, height=tables.height(len(frame), 14), column_order=list(heads),
                 column_config=config, key=key, alt=alt, placeholder=t("unit.none"))
    click = st.session_state.get(f"{key}.open")
    if click and click.row < len(ids):
        trail.go("item", ids[click.row])
        st.rerun()


def lines(rows: Sequence[tuple[str, str]]) -> None:
    """Label and value, a line each; values are somebody's text."""
    with st.container(gap="xxsmall"):
        for label, value in rows:
            st.markdown(f":gray[{label}]　{literal(value) if value else t('unit.none')}")


def buttons(*some: tuple) -> None:
    """Buttons on a line: (key of the words, icon, on_click[, disabled])."""
    with st.container(horizontal=True, gap="xsmall"):
        for word, icon, act, *off in some:
            st.button(t(f"settings.{word}"), icon=f":material/{icon}:", on_click=act, key=word, disabled=bool(off and off[0]))


# -- accounts -------------------------------------------------------------------------------------------------------

def users() -> pd.DataFrame:
    """Every account, with ``state``: disabled, later, over, locked or open."""
    found, now = data.read(administration.users), data.as_of()

    def state(row) -> str:
        if not row.active:
            return "disabled"
        if not pd.isna(row.valid_from) and row.valid_from > now:
            return "later"
        if not pd.isna(row.valid_until) and row.valid_until <= now:
            return "over"
        return "locked" if not pd.isna(row.locked_until) and row.locked_until > now else "open"

    return found.assign(state=[state(row) for row in found.itertuples()])


def users_sentence(found: pd.DataFrame) -> str:
    """12个账号，11个可登录，其中管理员1个。"""
    usable = found[found["state"].isin(["open", "locked"])]
    line = t("settings.users_line", n=len(found), active=len(usable), admins=int((usable["role"] == "admin").sum()))
    locked = int((found["state"] == "locked").sum())
    return line + (t("settings.users_locked", n=locked) if locked else "")


def users_table(found: pd.DataFrame, phone: bool) -> pd.Series | None:
    """The list; the account that is opened."""
    names = context.names_of_units(data.read(administration.units).itertuples())
    shown = pd.DataFrame({"login": found["login"], "name": found["name"], "role": [words.name("role", one) for one in found["role"]],
                          "scope": [scope_words(row.all_units, row.units, names) for row in found.itertuples()],
                          "state": [t(f"settings.state_{one}") for one in found["state"]],
                          "time": [time_words(row.valid_from, row.valid_until) for row in found.itertuples()],
                          "last": [when(one) for one in found["last_sign_in"]],
                          "proof": [t("settings.proof_password" if one else "settings.proof_none") for one in found["has_password"]]})
    px = {"login": 150, "name": 120, "role": 90, "scope": 200, "state": 80, "time": 200, "last": 170, "proof": 110}
    kept = ("login", "name", "role", "state") if phone else tuple(px)
    opening_table(shown, found["user_id"].tolist(), {one: (t(f"settings.col_{one}"), px[one]) for one in kept}, "users", t("settings.users_alt", n=len(found)))
    chosen = found[found["user_id"] == item()]
    return None if chosen.empty else chosen.iloc[0]


def scope_words(whole: bool, units: Sequence[int], names: Mapping[int, Unit]) -> str:
    """全部单位, or the first few names."""
    if whole:
        return t("settings.whole")
    some = [names[one].short for one in units if one in names]
    return t("settings.no_scope") if not some else t("unit.comma").join(some[:3]) + (t("unit.more", n=len(some)) if len(some) > 3 else "")


def time_words(start: object, end: object) -> str:
    """不限, or from the first to the last day."""
    first = None if pd.isna(start) else words.day_long(start.astimezone(zone()).date())
    last = None if pd.isna(end) else words.day_long((end - timedelta(microseconds=1)).astimezone(zone()).date())
    if first and last:
        return f"{first} — {last}"
    return t("settings.from_day", day=first) if first else t("settings.until_day", day=last) if last else t("settings.no_end")


def user_detail(one: pd.Series) -> None:
    """One account: what it may, how it signs in, and what can be done with it."""
    names = context.names_of_units(data.read(administration.units).itertuples())
    own = int(one.user_id) == session.viewer().user_id
    with st.container(border=True):
        links.section(literal(f"{one['name']} · {one.login}"))
        units = t("settings.whole") if one.all_units else t("unit.comma").join(names[unit].name for unit in one.units if unit in names) or t("settings.no_scope")
        lines([(t("settings.col_role"), words.name("role", one.role)), (t("settings.col_scope"), units),
               (t("settings.restricted"), t("settings.yes" if one.sees_restricted else "settings.no")),
               (t("settings.col_state"), t(f"settings.state_{one.state}")), (t("settings.col_time"), time_words(one.valid_from, one.valid_until)),
               (t("settings.col_last"), when(one.last_sign_in)), (t("settings.sessions"), t("settings.sessions_n", n=int(one.sessions))),
               (t("settings.col_proof"), t("settings.proof_password" if one.has_password else "settings.proof_none")
                + ("" if pd.isna(one.link_until) else t("settings.link_open", moment=when(one.link_until))))])
        if one.failures:
            st.markdown(t("settings.failures", n=int(one.failures)))
        if own:
            st.markdown(t("settings.own_account"))
            return
        id = int(one.user_id)
        ask = partial(changes.ask, id, one.login)
        buttons(("user_edit", "edit", partial(changes.edit_user, id)), ("user_link", "link", partial(changes.link_user, id, one.login), not one.active),
                ("user_unlock", "lock_open", partial(ask, "user_unlock"), not one.failures), ("sessions_end", "logout", partial(ask, "sessions_end"), not one.sessions),
                ("user_disable", "block", partial(ask, "user_disable")) if one.active else ("user_enable", "check", partial(ask, "user_enable")))


# -- units ----------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Tree:
    """Every unit, whatever the scope: ``rows`` by unit id in the order of the tree, ``names`` in the language of the run."""

    rows: pd.DataFrame
    names: dict[int, Unit]

    @classmethod
    def read(cls) -> "Tree":
        found = data.read(administration.units)
        return cls(found.set_index("unit_id", drop=False), context.names_of_units(found.itertuples()))

    def way(self, unit: int) -> list[int]:
        """From the root to the unit."""
        found, here = [], unit
        while here is not None:
            found, here = [here, *found], self.names[here].parent
        return found

    def path(self, unit: int, short: bool = False) -> str:
        """总行 › 宁波分行 › …, plain."""
        return " › ".join(self.names[one].short if short else self.names[one].name for one in self.way(unit))

    def name(self, unit: object) -> str:
        return t("unit.none") if pd.isna(unit) or int(unit) not in self.names else self.names[int(unit)].name


def unit_browser(tree: Tree, phone: bool) -> int | None:
    """Search and the way down; the unit that is opened."""
    here = item() if item() in tree.names else None
    unplaced = tree.rows[(tree.rows["kind"] == "unmapped") & tree.rows["parent_id"].notna()]
    links.sentence(t("settings.units_line", n=int((tree.rows["kind"] != "unmapped").sum()), off=int((~tree.rows["active"]).sum()))
                   + (t("settings.units_unplaced", n=len(unplaced)) if len(unplaced) else ""))
    asked = st.text_input(t("settings.unit_search"), key=f"unit_q_{here}", placeholder=t("settings.unit_search"), label_visibility="collapsed",
                          icon=":material/search:", max_chars=60).strip().lower()
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.button(t("settings.tree"), type="tertiary", on_click=trail.go, args=("item", None), key="tree_top")
        for one in tree.way(here) if here is not None else []:
            st.markdown(":gray[›]", width="content")
            st.button(literal(tree.names[one].short), type="tertiary", on_click=trail.go, args=("item", one), key=f"tree_{one}")
    if asked:
        columns = tree.rows[["code", "name", "name_en", "short", "short_en"]].fillna("").agg("\n".join, axis=1).str.lower()
        some = tree.rows[columns.str.contains(asked, regex=False)]
        st.caption(t("settings.found", n=len(some)))
        some = some.head(FOUND)
    else:
        some = tree.rows[tree.rows["parent_id"] == here] if here is not None else tree.rows[tree.rows["parent_id"].isna()]
    if some.empty:
        st.markdown(t("settings.none_found") if asked else t("settings.none_below"))
        return here
    shown = pd.DataFrame({"unit": [tree.path(one, short=True) if asked else tree.names[one].name for one in some["unit_id"]],
                          "code": some["code"].fillna("").tolist(), "kind": [words.name("settings", f"kind_{one}") for one in some["kind"]],
                          "below": [words.number(one) for one in some["below"]], "contacts": [f"{one}/3" for one in some["contacts"]],
                          "state": [t("settings.unit_on" if one else "settings.unit_off") for one in some["active"]]})
    px = {"unit": 320, "code": 110, "kind": 120, "below": 90, "contacts": 90, "state": 90}
    kept = ("unit", "below", "state") if phone else tuple(px)
    opening_table(shown, some["unit_id"].tolist(), {one: (t(f"settings.col_{one}"), (190 if phone else px[one]) if one == "unit" else px[one]) for one in kept},
                  f"units_{here}_{asked}", t("settings.units_alt", n=len(some)))
    return here


def unit_detail(tree: Tree, here: int) -> None:
    """One unit: what it is, and what can be done with it."""
    one = tree.rows.loc[here]
    with st.container(border=True):
        links.section(literal(tree.name(here)))
        number = lambda value: t("unit.none") if pd.isna(value) else words.number(value)  # noqa: E731
        lines([(t("settings.col_kind"), words.name("settings", f"kind_{one.kind}")), (t("settings.col_code"), one.code or ""), (t("settings.short"), one.short or ""),
               (t("settings.name_en"), one.name_en or ""), (t("settings.above"), tree.name(one.parent_id)), (t("settings.outlets"), number(one.outlets)),
               (t("settings.customers"), number(one.customers)), (t("settings.focus"), t("settings.yes" if one.focus else "settings.no")),
               (t("settings.accepts"), t("settings.yes" if one.accepts else "settings.no")),
               (t("settings.col_state"), t("settings.unit_on" if one.active else "settings.unit_off"))])
        root, unplaced = pd.isna(one.parent_id), one.kind == "unmapped"
        buttons(("unit_edit", "edit", partial(changes.edit_unit, here)),
                ("unit_add", "add", partial(changes.add_unit, here), unplaced or not one.active),
                ("unit_move", "drive_file_move", partial(changes.move_unit, here), root),
                ("unit_off_act", "block", partial(changes.ask, here, tree.name(here), "unit_off")) if one.active
                else ("unit_on_act", "check", partial(changes.ask, here, tree.name(here), "unit_on")))
        if unplaced and not root:
            st.caption(t("settings.unplaced_note"))


def contacts(here: int) -> None:
    """Whom messages go to."""
    found = data.read(administration.unit, here)["contacts"]
    with st.container(border=True):
        links.section(t("units.contacts"), t("units.contacts_note"))
        if not found:
            st.markdown(t("units.contacts_none"))
        for rank in RANKS:
            if one := found.get(rank):
                said = "　".join(filter(None, (one["name"], one["phone"], one["email"])))
                lines([(t(f"units.contact_{rank}"), said)] + ([(t("settings.webhook"), one["webhook"])] if one["webhook"] else []))
        buttons(("contacts_edit", "contact_phone", partial(changes.edit_contacts, here)))


def moves(tree: Tree) -> None:
    """The latest moves."""
    found = data.read(administration.moves)
    if found.empty:
        st.markdown(t("settings.moves_none"))
        return
    shown = pd.DataFrame({"at": [when(one) for one in found["at"]], "unit": [tree.name(one) for one in found["unit_id"]],
                          "from": [tree.name(one) for one in found["parent_from"]], "to": [tree.name(one) for one in found["parent_to"]],
                          "who": found["who"].fillna(t("complaint.system"))})
    links.ranked_table(shown, names={one: t(f"settings.col_{one}") for one in shown}, alt=t("settings.moves"))


# -- policies -------------------------------------------------------------------------------------------------------

def versions() -> pd.DataFrame:
    """Every version of every pack."""
    return data.read(administration.versions)


def choose_pack(found: pd.DataFrame) -> str:
    """The pack the address asks for, else the first that is in use."""
    packs = list(dict.fromkeys(found["pack"]))
    chosen = st.query_params.get("pack") if st.query_params.get("pack") in packs else packs[0]

    def go() -> None:
        st.query_params.pop("item", None)
        trail.go("pack", st.session_state[f"pack_{chosen}"])

    st.segmented_control(t("settings.pack"), packs, default=chosen, required=True, key=f"pack_{chosen}", on_change=go,
                         format_func=filters.picked(lambda one: words.name("settings", f"pack_{one}"), chosen))
    return chosen


def title(one) -> str:
    """A rule's name in the language of the run."""
    return one.title_en if words.language() == "en" else one.title


def policy_sentence(found: pd.DataFrame, pack: str) -> str:
    """现行第1版自…起；第2版自…起生效。"""
    own = found[found["pack"] == pack]
    said = [t(f"settings.policy_{one.state}", version=str(one.version), day=words.day_long(one.effective_from)) for one in own.itertuples() if one.state != "past"]
    return t("unit.comma" if words.language() == "en" else "settings.semicolon").join(said[::-1]) if said else t("settings.policy_none")


def versions_table(found: pd.DataFrame, pack: str, phone: bool) -> pd.Series:
    """The versions of a pack; the one that is opened, else the active one."""
    own = found[found["pack"] == pack].reset_index(drop=True)
    shown = pd.DataFrame({"version": [t("settings.version_n", n=str(one)) for one in own["version"]], "state": [t(f"settings.version_{one}") for one in own["state"]],
                          "from": [words.day_long(one) for one in own["effective_from"]], "title": [title(one) for one in own.itertuples()],
                          "published": [when(one) if not pd.isna(one) else t("settings.with_product") for one in own["published_at"]]})
    px = {"version": 100, "state": 100, "from": 150, "title": 420, "published": 200}
    kept = ("version", "state", "from") if phone else tuple(px)
    opening_table(shown, own["policy_id"].tolist(), {one: (t(f"settings.col_{'begins' if one == 'from' else one}"), px[one]) for one in kept},
                  f"versions_{pack}", t("settings.versions_alt", n=len(own)))
    chosen = own[own["policy_id"] == item()]
    active = own[own["state"] == "active"]
    return (chosen if len(chosen) else active if len(active) else own).iloc[0]


def limit_name(one) -> str:
    """答复 · 复杂 · 网络, plain."""
    english = words.language() == "en"
    parts = [t(f"settings.clock_{one.clock}"), (one.category_en if english else one.category) or "",
             t(f"settings.complexity_{one.complexity}") if isinstance(one.complexity, str) else "", (one.channel_en if english else one.channel) or ""]
    return " · ".join(part for part in parts if isinstance(part, str) and part)


def limits(policy: pd.Series, phone: bool) -> None:
    """The limits of a version, and what can be done with it."""
    found = data.read(administration.limits, int(policy.policy_id))
    links.section(t("settings.limits_of", version=str(policy.version)), literal(title(policy)))
    amount = [t("settings.no_limit") if pd.isna(one.amount) else t(f"settings.amount_{one.unit}", n=int(one.amount)) for one in found.itertuples()]
    target = [t("unit.none") if pd.isna(one) else words.working_days(int(one)) for one in found["target"]]
    soon = [words.working_days(int(one)) if one else t("unit.none") for one in found["soon"]]
    shown = pd.DataFrame({"limit": [limit_name(one) for one in found.itertuples()], "amount": amount, "target": target, "soon": soon, "article": found["article"]})
    kept = ["limit", "amount", "target"] if phone else list(shown)
    links.ranked_table(shown[kept], names={one: t(f"settings.col_{one}") for one in kept}, alt=t("settings.limits_of", version=str(policy.version)))
    st.caption(t("settings.policy_note"))
    own = versions()
    own = own[own["pack"] == policy.pack].iloc[0]
    buttons(("policy_draft", "edit_document", partial(changes.draft_policy, int(own.policy_id), policy.pack)),
            *([("policy_withdraw", "undo", partial(changes.ask, int(own.policy_id), title(own), "policy_withdraw"))] if own.state == "coming" else []))


# -- calendars ------------------------------------------------------------------------------------------------------

def years() -> pd.DataFrame:
    """The years around today of every calendar."""
    return data.read(administration.years)


def calendar_sentence(found: pd.DataFrame) -> list[str]:
    """Which of the years that limits fall into are not published, and how many limits wait."""
    open_ = found[(found["status"] != "published") & (found["provisional"] > 0)]
    said = [t("settings.calendar_waits", year=str(one.year), zone=literal(one.tz), n=int(one.provisional)) for one in open_.itertuples()]
    return said or [t("settings.calendar_fine")]


def calendar(calendar_id: int, some: pd.DataFrame, phone: bool) -> None:
    """One calendar: its years, and what can be done with it."""
    first = some.iloc[0]
    links.section(literal(f"{first.code} · {first.tz}"))
    shown = pd.DataFrame({"year": some["year"].astype(str), "status": [t(f"settings.year_{one}") for one in some["status"]],
                          "days": [words.number(one) for one in some["working_days"]], "provisional": [words.cases(int(one)) for one in some["provisional"]],
                          "origin": [t("settings.weekdays") if one == "weekdays" else one for one in some["origin"].fillna("")],
                          "loaded": [when(one) for one in some["loaded_at"]]})
    kept = ["year", "status", "provisional"] if phone else list(shown)
    links.ranked_table(shown[kept], names={one: t(f"settings.col_{one}") for one in kept}, alt=t("settings.section_calendars"))
    waiting = int(some["provisional"].sum())
    with st.container(horizontal=True, gap="xsmall"):
        st.button(t("settings.year_load"), icon=":material/calendar_add_on:", key=f"load_{calendar_id}",
                  on_click=changes.load_year, args=(calendar_id, first.code, first.tz, some["year"].tolist(), some["status"].tolist()))
        st.button(t("settings.recompute"), icon=":material/restart_alt:", key=f"recompute_{calendar_id}", disabled=not waiting,
                  on_click=changes.ask, args=(calendar_id, f"{first.code} {first.tz}", "recompute"))


# -- sources --------------------------------------------------------------------------------------------------------

def sources() -> pd.DataFrame:
    """Every source."""
    return data.read(administration.sources)


def sources_table(found: pd.DataFrame, phone: bool) -> pd.Series | None:
    """The list; the source that is opened."""
    if found.empty:
        return None
    shown = pd.DataFrame({"source": found["name"], "pack": [words.name("settings", f"pack_{one}") for one in found["pack"]], "zone": found["tz"],
                          "seen": [when(one) for one in found["seen_at"]], "file": found["file"].fillna(t("unit.none")),
                          "complaints": [words.cases(int(one)) for one in found["complaints"]], "held": [words.number(one) for one in found["quarantined"]]})
    px = {"source": 200, "pack": 160, "zone": 150, "seen": 180, "file": 200, "complaints": 110, "held": 90}
    kept = ("source", "complaints") if phone else tuple(px)
    opening_table(shown, found["source_id"].tolist(), {one: (t(f"settings.col_{one}"), px[one]) for one in kept}, "sources", t("settings.sources_alt", n=len(found)))
    chosen = found[found["source_id"] == item()]
    return None if chosen.empty else chosen.iloc[0]


def source_detail(one: pd.Series) -> None:
    """One source, its last import, and what can be done with it."""
    with st.container(border=True):
        links.section(literal(one["name"]))
        last = t("settings.no_import") if pd.isna(one.finished_at) else f"{one.file}　{when(one.finished_at)}　{t('settings.rows_n', n=int(one['rows']))}"
        lines([(t("settings.col_pack"), words.name("settings", f"pack_{one.pack}")), (t("settings.col_zone"), one.tz), (t("settings.last_import"), last),
               (t("settings.col_complaints"), words.cases(int(one.complaints))), (t("settings.col_held"), words.number(one.quarantined))])
        if one.complaints:
            st.caption(t("settings.source_fixed"))
        buttons(("source_edit", "edit", partial(changes.edit_source, int(one.source_id))))
