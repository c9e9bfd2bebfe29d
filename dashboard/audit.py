"""The audit in words: each row a sentence, its details from codes and parameters, the chain in one line."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard import data, exports, links, tables, words
from dashboard.context import Frame
from dashboard.words import literal, t
from queries import audit as read

PAGE = 100
_HIDDEN = {"complaints"}                       # ids: they stand in the database, not on the page


def chosen(f: Frame) -> dict:
    """What is asked: account, act, number and page, from the address; the bar to change them."""
    people = data.read(read.people)
    names = {str(row.user_id): f"{row.name}（{row.login}）" for row in people.itertuples()}
    codes = data.read(read.acts)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        who = _pick("who", ["", *names], lambda one: names.get(one, t("audit.everybody")))
        act = _pick("act", ["", *codes], lambda one: words.name("audited", one) if one else t("audit.every_act"))
        number = st.text_input(t("audit.number"), value=st.query_params.get("number", ""), max_chars=60, width=220, key="audit_number",
                               on_change=lambda: _set("number", st.session_state["audit_number"].strip()))
    return {"who": int(who) if who else None, "act": act or None, "number": number.strip() or None, **f.span}


def _pick(name: str, options: list[str], say) -> str:
    key = f"audit_{name}_{words.language()}"                # the browser sends the words back: another language, another widget
    asked = st.query_params.get(name, "")
    st.session_state[key] = asked if asked in options else ""
    st.selectbox(t(f"audit.{name}"), options, format_func=say, key=key, width=260, on_change=lambda: _set(name, st.session_state[key]))
    return st.session_state[key]


def _set(name: str, value: str) -> None:
    st.query_params.pop("page", None)
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)


def page() -> int:
    """The page of the list that the address asks for, from 0."""
    asked = st.query_params.get("page", "")
    return int(asked) - 1 if asked.isdigit() and 0 < int(asked) < 1_000_000 else 0


def turn(place: int, total: int) -> None:
    """上一页 第1–100条，共n条 下一页."""
    if total <= PAGE:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(t("audit.newer"), disabled=place == 0, key="audit_newer", on_click=lambda: _set_page(place - 1))
        st.markdown(t("audit.place", first=place * PAGE + 1, last=min(total, place * PAGE + PAGE), n=total), width="content")
        st.button(t("audit.older"), disabled=(place + 1) * PAGE >= total, key="audit_older", on_click=lambda: _set_page(place + 1))


def _set_page(place: int) -> None:
    st.query_params["page"] = str(place + 1)


def chain(f: Frame) -> str:
    """链条完整, or where it breaks; Markdown."""
    verdict = data.read(read.newest)
    if verdict.fault:
        return t("audit.broken", n=verdict.fault[0], what=t(f"audit.fault_{verdict.fault[1]}"))
    return t("audit.whole", n=verdict.rows, moment=words.moment(f.as_of, f.zone))


def table(rows: pd.DataFrame, zone: ZoneInfo, phone: bool) -> None:
    """Time, who, what, complaint, details; a phone gives up the last two."""
    shown = tables.plain(lines(rows, zone))
    config = st.column_config
    columns = {"at": config.TextColumn(t("audit.col_at"), width=130), "who": config.TextColumn(t("audit.col_who"), width=110),
               "act": config.TextColumn(t("audit.col_act"), width=150), "number": config.TextColumn(t("audit.col_number"), width=130),
               "details": config.TextColumn(t("audit.col_details"), width="large")}
    st.dataframe(shown.drop(columns=["number", "details"]) if phone else shown, column_config=columns, hide_index=True, width="stretch", height="content",
                 key="audit_rows")


def lines(rows: pd.DataFrame, zone: ZoneInfo) -> pd.DataFrame:
    """Rows of `queries.audit.rows` as text: at, who, act, number, details."""
    return pd.DataFrame({"at": [words.moment(one, zone, long=True) for one in rows["at"]], "who": [one or t("complaint.system") for one in rows["who"].where(rows["who"].notna(), None)],
                         "act": [words.name("audited", one) for one in rows["act"]], "number": rows["complaint_no"].fillna(""),
                         "details": [details(one) for one in rows["params"]]})


def details(params: dict) -> str:
    """What else is known of an act: 原因：…；数量：…. A name without words of its own stands as it is."""
    said = []
    for name, value in sorted(params.items(), key=lambda one: one[0] == "new"):      # the old value first
        if name in _HIDDEN or value is None or value == "":
            continue
        label = words.name("audit_detail", name)
        if isinstance(value, dict):
            value = "，".join(f"{words.name('audit_detail', key)} {_plain(one)}" for key, one in value.items())
        said.append(f"{label}：{_plain(value)}" if words.language() == "zh" else f"{label}: {_plain(value)}")
    return "；".join(said) if words.language() == "zh" else "; ".join(said)


def _plain(value: object) -> str:
    if value is None:
        return t("unit.none")
    if isinstance(value, bool):
        return t("audit.yes" if value else "audit.no")
    if isinstance(value, list):
        return " → ".join(_plain(one) for one in value)
    if isinstance(value, dict):
        return "，".join(f"{key} {_plain(one)}" for key, one in value.items())
    return str(value)


def file(asked: dict, f: Frame, total: int) -> None:
    """The rows asked for as a file, read when it is asked for; taking it away stands in the audit too."""
    columns = {"at": exports.Column(t("audit.col_at"), "text", 20), "who": exports.Column(t("audit.col_who"), "text", 16), "act": exports.Column(t("audit.col_act"), "text", 20),
               "number": exports.Column(t("audit.col_number"), "text", 20), "details": exports.Column(t("audit.col_details"), "text", 80)}

    def frames(conn) -> Iterator[pd.DataFrame]:
        for first in range(0, total, 5_000):
            yield lines(read.rows(conn, as_of=f.as_of, **asked, limit=5_000, offset=first), f.zone)
    exports.buttons(frames, columns, title=t("nav.audit"), about=[(t("export.period"), words.span(f.period.start, f.period.last))], as_of=f.as_of, zone=f.zone,
                    total=total, key="audit")


def people_words(rows: pd.DataFrame) -> str:
    """The finding: how many acts, by how many people, among them looks at identities and files taken away."""
    total = int(rows["total"].iloc[0]) if len(rows) else 0
    return t("audit.finding", n=total) if total else t("audit.none")


def heading(f: Frame) -> None:
    links.heading(t("nav.audit"), t("audit.note", period=literal(words.span(f.period.start, f.period.last))))
