"""The week for a leader with five minutes: what fell due, what is late, what to do today, who and what it is about."""

import streamlit as st

from dashboard import context, data, evidence, links, navigation, review, session, still, tables, words
from dashboard.words import t

LIST = "complaints"

navigation.require()
f = context.frame("last_week")
w = data.derived(review.read, f, key=f.asked)
deeper, phone = evidence.deeper(f), tables.is_phone()


def doors(text, *ways):
    """A sentence, and from it to its rows: (words, how many, the list); what is zero has no door."""
    links.row([(t(f"review.open_{key}", n=n), f.link(**params)) for key, n, params in ways if n], LIST, text)


def name(unit):
    """A unit below, or what the stated unit has itself."""
    return t("review.own", unit=f.unit_name(unit)) if unit == f.parent else f.unit_name(unit)


def rows_of(unit, code):
    """The way to a unit's rows, of a stock at its moment; what the stated unit has itself is no list of its own."""
    return f.link(unit=unit, code=code, **({"at": w.moment} if code in review.STOCKS else {})) if unit != f.parent else None


def figures():
    """All but the chart that can be clicked: the same for everybody of this scope until the next tick."""
    (kept, due), overdue, long = w.kept, w.late["overdue_open_den"], w.late["overdue_open_5_den"]
    links.heading(review.title(f.period), t("review.note", moment=words.moment(f.as_of, f.zone)))
    links.sentence(review.headline(w, f.period), review.overdue(overdue, long, w.late_before["overdue_open_den"], f.period, w.ended))
    doors("", ("due", due, {"code": "compliance"}), ("kept", kept, {"code": "compliance", "part": "num"}),
          ("late", due - kept, {"code": "compliance", "part": "rest"}), ("not_yet", w.now["not_yet_due_den"], {"code": "not_yet_due"}),
          ("long", long, {"code": "overdue_open_5", "at": w.moment}))
    links.row(review.ago(w, f), LIST, review.comparison(w, f))
    with links.cards(4):
        for key, n, old, trend, params in (
                ("rate", w.kept, w.kept_before, w.chart.rates, {"code": "compliance"}),
                ("overdue", overdue, w.late_before["overdue_open_den"], w.stocks.overdue_open, {"code": "overdue_open", "at": w.moment}),
                ("received", w.now["received_den"], w.before["received_den"], w.volume.weekly, {"code": "received"}),
                ("open", int(w.balance.closing), int(w.balance.opening), w.stocks.backlog, {"line": "closing"})):
            links.figure_card(t(f"review.card_{key}"), trend=() if phone else list(trend), to=LIST, params=f.link(**params),
                              **review.card(key, n, old, f.period, w.ended, phone, w.volume.whole.verdict))

    # -- what must be done today
    links.section(t("todo.title"))
    with links.todo_cards(8):
        for code, key, tone in review.TODO:
            links.todo_card(t(f"todo.{key}"), w.todo[f"{code}_den"], tone=tone, to=LIST, params=f.link(code=code))
    serious = {one: w.now[f"serious_{one}_den"] for one in ("new", "reported", "unreported")}
    links.section(t("review.major"))
    doors(review.major(*serious.values(), f.period), *((one, n, {"code": f"serious_{one}"}) for one, n in serious.items()))

    # -- units against their peers
    peers = review.peers(w.peers, name, deeper, rows_of, "units", f.period, phone)
    left, right = st.columns(2, gap="medium")
    with left:
        links.section(t("review.attention"))
        st.markdown(peers.attention_said)
        evidence.unit_table(peers.attention)
    with right:
        links.section(t("review.doing_well"))
        st.markdown(peers.well_said)
        evidence.unit_table(peers.well)

    # -- ledger, effect, satisfaction
    links.section(t("review.ledger"))
    links.ledger([(t(f"review.{word}"), int(w.balance[line]), f.link(line=line)) for line, word in review.LINES.items()], w.gap, LIST)
    left, right = st.columns(2, gap="medium")
    with left:
        urged, signed, done = w.now["urged_den"], w.now["urge_acknowledged_num"], w.now["urge_done_num"]
        links.section(t("review.effect"))
        doors(review.effect(urged, signed, done, w.median, f.period), ("urged", urged, {"code": "urged"}),
              ("signed", signed, {"code": "urge_acknowledged", "part": "num"}), ("done", done, {"code": "urge_done", "part": "num"}))
    with right:
        called, reached, satisfied = w.now["reach_rate_den"], w.now["reach_rate_num"], w.now["satisfaction_num"]
        links.section(t("review.satisfaction"))
        doors(review.satisfaction(called, reached, satisfied, w.now["satisfaction_den"], f.period), ("called", called, {"code": "reach_rate"}),
              ("reached", reached, {"code": "reach_rate", "part": "num"}), ("satisfied", satisfied, {"code": "satisfaction", "part": "num"}))

    # -- what it is about, and how it was judged
    links.section(t("review.problems"))
    st.markdown(f"{review.problems_sentence(w.problems, f.category, f.channel, f.period)} "
                f":gray[{t('review.problems_note_all' if session.viewer().sees_restricted else 'review.problems_note')}]")
    for one in w.volume.bursts:
        links.row([review.burst_door(one, f)], LIST, review.burst(one, f.category))
    return review.heat_figure(w.problems, f.category, f.channel, phone)


heat = still.draw(figures, "review", f.question, phone)
if w.problems.total:
    links.picker(w.problems.grid, f.category, f.channel, LIST, review.cells(f), "cells")
    links.chart(heat, evidence.key("problems", f), LIST, review.of_cell(w.problems, review.cells(f)))
with st.expander(t("review.statistics"), icon=":material/query_stats:", key="notes", on_change="rerun", bind="query-params") as notes:
    if notes.open:
        evidence.panel(f, w.chart, w.volume.whole, w.days, w.peers, w.funnel, name, deeper, rows_of, "review", phone)
