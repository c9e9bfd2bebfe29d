"""The week for a leader with five minutes: what fell due, what is late, what to do today, who and what it is about."""

import streamlit as st

from dashboard import charts, context, data, links, navigation, review, tables, words
from dashboard.periods import Period
from dashboard.words import t
from queries import figures, ledger, units

FLOWS = ("compliance", "received", "not_yet_due", "serious_new", "serious_reported", "serious_unreported", "satisfaction",
         "reach_rate", "urged", "urge_acknowledged", "urge_done")
LIST = "complaints"

navigation.require()
f = context.frame("last_week")
phone = tables.is_phone()
moment, ended = min(f.span["end"], f.as_of), f.span["end"] <= f.as_of  # stocks are read at the end of the period, or now
days = review.weeks(f.period.last)
prior = t("review.compared", before=review.prior(f.period))


def count(*codes, where=f.where, **more):
    """Figures of the whole as plain numbers: ``["compliance_den"]``."""
    return data.read(figures.counts, codes, **where, **more).loc["all"].to_dict()


def doors(*ways):
    """From a sentence to its rows: (words, how many, the list); what is zero has no door."""
    links.row([(t(f"review.open_{key}", n=n), f.link(**params)) for key, n, params in ways if n], LIST)


def name(unit):
    """A unit below, or what the stated unit has itself."""
    return t("review.own", unit=f.unit_name(unit)) if unit == f.parent else f.unit_name(unit)


def rows_of(unit, **params):
    """The way to a unit's rows; what the stated unit has itself is no list of its own."""
    return f.link(unit=unit, at=moment, **params) if unit != f.parent else None


# -- the finding
now, before = count(*FLOWS), count("compliance", "received", where=f.before)
late, late_before = (count("overdue_open", "overdue_open_5", where=where, as_of=at) for where, at in ((f.where, moment), (f.before, f.before["end"])))
series = data.read(figures.counts, ("compliance", "received"), by="week", **f.where | f.window(Period("custom", days[0], f.period.end)))
stocks = data.read(figures.stocks, review.ends(days[-12:], f.midnight, f.as_of), **f.place)
balance, gap = data.read(ledger.check, **f.span, **f.place)
num, den, overdue = now["compliance_num"], now["compliance_den"], late["overdue_open_den"]
chart = review.control(days, series)
judgement = review.judge(num, den, chart.mean)
links.heading(review.title(f.period), t("review.note", moment=words.moment(f.as_of, f.zone)))
links.sentence(review.headline(num, den, (before["compliance_num"], before["compliance_den"]), judgement, f.period),
               review.overdue(overdue, late["overdue_open_5_den"], late_before["overdue_open_den"], f.period, ended))
doors(("due", den, {"code": "compliance"}), ("kept", num, {"code": "compliance", "part": "num"}),
      ("late", den - num, {"code": "compliance", "part": "rest"}), ("not_yet", now["not_yet_due_den"], {"code": "not_yet_due"}),
      ("long", late["overdue_open_5_den"], {"code": "overdue_open_5", "at": moment}))
with links.cards(4):
    card = review.rate_card((num, den), (before["compliance_num"], before["compliance_den"]))
    links.figure_card(t("review.card_rate"), compared=prior, to=LIST, params=f.link(code="compliance"), **card,
                      trend=() if phone else charts.sparkline(chart.rates))
    for key, n, old, trend, params in (
            ("overdue", overdue, late_before["overdue_open_den"], stocks.overdue_open, {"code": "overdue_open", "at": moment}),
            ("received", now["received_den"], before["received_den"], [series.received_den.get(str(day), 0) for day in days], {"code": "received"}),
            ("open", int(balance.closing), int(balance.opening), stocks.backlog, {"line": "closing"})):
        links.figure_card(t(f"review.card_{key}"), words.number(n), t("unit.case_mark"), delta=words.cases(abs(n - old)),
                          down=None if n == old else n < old, compared=prior, trend=() if phone else charts.sparkline(list(trend)),
                          to=LIST, params=f.link(**params), **review.marks(key, n, ended))

# -- what must be done today
todo = count(*(code for code, _, _ in review.TODO))
links.section(t("todo.title"))
with links.todo_cards(8):
    for code, key, tone in review.TODO:
        links.todo_card(t(f"todo.{key}"), todo[f"{code}_den"], tone=tone, to=LIST, params=f.link(code=code))
links.section(t("review.major"))
serious = {one: now[f"serious_{one}_den"] for one in ("new", "reported", "unreported")}
st.markdown(review.major(*serious.values(), f.period))
doors(*((one, n, {"code": f"serious_{one}"}) for one, n in serious.items()))

# -- units against their peers
peers = review.compared(data.read(units.peers, as_of=moment, parent=f.parent, **f.span, zone=f.zone.key,
                                  category=f.filters.category_id, channel=f.filters.channel_id))
good = review.doing_well(peers)
left, right = st.columns(2, gap="medium")
with left:
    links.section(t("review.attention"))
    st.markdown(review.attention_sentence(peers, name))
    links.unit_table(review.attention(peers), name, rows_of, LIST, phone=phone)
with right:
    links.section(t("review.doing_well"))
    st.markdown(review.doing_well_sentence(good, name, f.period))
    links.unit_table(good.head(review.SHOWN), name, rows_of, LIST, overdue=False, phone=phone)

# -- ledger, effect, satisfaction
links.section(t("review.ledger"))
links.ledger([(t(f"review.{word}"), int(balance[line]), f.link(line=line)) for line, word in review.LINES.items()], gap, LIST)
left, right = st.columns(2, gap="medium")
with left:
    urged, signed, done = now["urged_den"], now["urge_acknowledged_num"], now["urge_done_num"]
    links.section(t("review.effect"))
    st.markdown(review.effect(urged, signed, done, data.read(figures.urge_effect, **f.span, unit=f.filters.unit_id), f.period))
    doors(("urged", urged, {"code": "urged"}), ("signed", signed, {"code": "urge_acknowledged", "part": "num"}),
          ("done", done, {"code": "urge_done", "part": "num"}))
with right:
    called, reached, content = now["reach_rate_den"], now["reach_rate_num"], now["satisfaction_num"]
    links.section(t("review.satisfaction"))
    st.markdown(review.satisfaction(called, reached, content, now["satisfaction_den"], f.period))
    doors(("called", called, {"code": "reach_rate"}), ("reached", reached, {"code": "reach_rate", "part": "num"}),
          ("satisfied", content, {"code": "satisfaction", "part": "num"}))

# -- what it is about, and how it was judged
found = review.problems(*(data.read(figures.counts, ("received",), by="category_channel", **where) for where in (f.where, f.before)))
links.section(t("review.problems"))
st.markdown(f"{review.problems_sentence(found, f.category, f.channel, f.period)} :gray[{t('review.problems_note')}]")
if found.total:
    with st.grid(1, min_column_width=620, wrap=False):
        links.chart(review.heat_figure(found, f.category, f.channel), key="problems")
    links.picker(found.grid, f.category, f.channel, LIST, lambda row, col: f.link(code="received", category=row, channel=col), key="cells")
with st.expander(t("review.statistics"), icon=":material/query_stats:", key="notes", on_change="rerun", bind="query-params") as notes:
    if notes.open:
        left, right = st.columns(2, gap="medium")
        with left:
            links.section(t("review.control_title"), t("review.control_note"))
            links.chart(review.control_figure(chart, judgement, phone), key="control")
        with right:
            links.section(t("review.funnel_title"), t("review.funnel_note"))
            links.chart(review.funnel_figure(peers, name, phone), key="funnel")
        st.caption(t("review.method"))
