"""The week for a leader with five minutes: what fell due, what is late, what to do today, who and what it is about."""

import streamlit as st

from dashboard import charts, context, data, links, navigation, review, tables, words
from dashboard.periods import Period
from dashboard.words import t
from queries import figures, ledger, units

FLOWS = ("compliance", "received", "not_yet_due", "serious_new", "serious_reported", "serious_unreported", "satisfaction",
         "reach_rate", "urged", "urge_acknowledged", "urge_done")
STOCKS = ("overdue_open", "overdue_open_5")
LIST = "complaints"

navigation.require()
f = context.frame("last_week")
phone = tables.is_phone()
moment, moment_before = min(f.span["end"], f.as_of), f.before["end"]  # stocks are read at the end of a period
ended = f.span["end"] <= f.as_of
prior = t("review.compared", before=review.prior(f.period))


def count(codes, where, **more):
    """Figures of the whole as plain numbers, ``due["compliance_den"]``."""
    return data.read(figures.counts, codes, **where, **more).loc["all"].to_dict()


now, before = count(FLOWS, f.where), count(("compliance", "received"), f.before)
stock, stock_before = count(STOCKS, f.where, as_of=moment), count(STOCKS, f.before, as_of=moment_before)
balance, gap = data.read(ledger.check, **f.span, **f.place)
num, den, late = now["compliance_num"], now["compliance_den"], stock["overdue_open_den"]
days = review.weeks(f.period.last)
series = data.read(figures.counts, ("compliance", "received"), by="week",
                   **f.where | f.window(Period("custom", days[0], f.period.end)))
chart = review.control(days, series)
judgement = review.judge(num, den, chart.mean)

# -- the finding and the four headline figures
note = t("review.note", moment=words.moment(f.as_of, f.zone))
links.heading(review.title(f.period), note)
links.sentence(review.headline(num, den, (before["compliance_num"], before["compliance_den"]), judgement, f.period),
               review.overdue(late, stock["overdue_open_5_den"], stock_before["overdue_open_den"], f.period, ended))
ways = (("open_due", den, {"code": "compliance"}), ("open_kept", num, {"code": "compliance", "part": "num"}),
        ("open_late", den - num, {"code": "compliance", "part": "rest"}),
        ("open_not_yet", now["not_yet_due_den"], {"code": "not_yet_due"}),
        ("open_long", stock["overdue_open_5_den"], {"code": "overdue_open_5", "at": moment}))


def doors(*some):
    """The ways from a sentence to its rows; what is zero has none."""
    links.row([(t(f"review.{key}", n=n), f.link(**params)) for key, n, params in some if n], LIST)


doors(*ways)
shown = 0 if phone else 12
ends = review.stock_moments(days[-shown:], lambda day: context.midnight(day, f.zone), f.as_of) if shown else []
stocks = [count(("overdue_open", "backlog"), f.where, as_of=end) for end in ends]
with links.cards(4):
    value, last = figures.rate(num, den), figures.rate(before["compliance_num"], before["compliance_den"])
    change = review.points(value, last) if value is not None and last is not None else None
    links.figure_card(t("review.card_rate"), words.percent(num, den), note=f"{num:,}/{den:,}" if den else "",
                      delta=t("review.delta_points", x=words.number(abs(change), 1)) if change is not None else None,
                      down=change < 0 if change else None, compared=prior,
                      trend=charts.sparkline(chart.rates, shown) if shown else (), to=LIST, params=f.link(code="compliance"))
    for key, n, old, trend, tone, params in (
            ("card_overdue", late, stock_before["overdue_open_den"], [s["overdue_open_den"] for s in stocks], "late" if late else "",
             f.link(code="overdue_open", at=moment)),
            ("card_received", now["received_den"], before["received_den"], [series["received_den"].get(str(day), 0) for day in days[-12:]],
             "", f.link(code="received")),
            ("card_open", int(balance.closing), int(balance.opening), [s["backlog_den"] for s in stocks], "", f.link(line="closing"))):
        links.figure_card(t(f"review.{key}"), words.number(n), t("unit.case_mark"), tone=tone, delta=words.cases(abs(n - old)),
                          note=t("review.at_end") if ended and key == "card_overdue" else "",
                          down=n < old if n != old else None, compared=prior, trend=charts.sparkline(trend) if shown else (),
                          to=LIST, params=params)

# -- what must be done today
todo = count(tuple(code for code, _, _ in review.TODO), f.where)
links.section(t("todo.title"))
with links.todo_cards(8):
    for code, key, tone in review.TODO:
        links.todo_card(t(f"todo.{key}"), todo[f"{code}_den"], tone=tone, to=LIST, params=f.link(code=code))

links.section(t("review.major"))
st.markdown(review.major(*(now[f"serious_{one}_den"] for one in ("new", "reported", "unreported")), f.period))
doors(*((f"open_{key}", now[f"serious_{one}_den"], {"code": f"serious_{one}"})
        for key, one in (("new", "new"), ("reported", "reported"), ("missing", "unreported"))))

# -- units against their peers
peers = review.compared(data.read(units.peers, as_of=moment, parent=f.parent, **f.span, zone=f.zone.key,
                                  category=f.filters.category_id, channel=f.filters.channel_id))


def name(unit):
    """A unit below, or what the stated unit has itself."""
    return t("review.own", unit=f.unit_name(unit)) if unit == f.parent else f.unit_name(unit)


def rows_of(unit, **params):
    """The way to a unit's rows; what the stated unit has itself is no list of its own."""
    return f.link(unit=unit, at=moment, **params) if unit != f.parent else None


left, right = st.columns(2, gap="medium")
with left:
    links.section(t("review.attention"))
    st.markdown(review.attention_sentence(peers, name))
    links.unit_table(review.attention(peers), name, rows_of, LIST, phone=phone)
with right:
    links.section(t("review.doing_well"))
    good = review.doing_well(peers)
    st.markdown(t("review.doing_well_line", units=review.listed(good.unit_id.tolist(), name)) if len(good) else
                t("review.doing_well_none", period=review.here(f.period)))
    links.unit_table(good.head(review.SHOWN), name, rows_of, LIST, overdue=False, phone=phone)

# -- ledger, effect, satisfaction
links.section(t("review.ledger"))
links.ledger([(t(f"review.{word}"), int(balance[line]), f.link(line=line)) for line, word in review.LINES.items()], gap, LIST)
left, right = st.columns(2, gap="medium")
with left:
    links.section(t("review.effect"))
    median = data.read(figures.urge_effect, **f.span, unit=f.filters.unit_id)
    st.markdown(review.effect(now["urged_den"], now["urge_acknowledged_num"], now["urge_done_num"], median, f.period))
    doors(("open_urged", now["urged_den"], {"code": "urged"}),
          ("open_signed", now["urge_acknowledged_num"], {"code": "urge_acknowledged", "part": "num"}),
          ("open_done", now["urge_done_num"], {"code": "urge_done", "part": "num"}))
with right:
    links.section(t("review.satisfaction"))
    st.markdown(review.satisfaction(now["reach_rate_den"], now["reach_rate_num"], now["satisfaction_num"], now["satisfaction_den"], f.period))
    doors(("open_called", now["reach_rate_den"], {"code": "reach_rate"}), ("open_reached", now["reach_rate_num"], {"code": "reach_rate", "part": "num"}),
          ("open_satisfied", now["satisfaction_num"], {"code": "satisfaction", "part": "num"}))

# -- what it is about
found = review.problems(*(data.read(figures.counts, ("received",), by="category_channel", **where) for where in (f.where, f.before)))
links.section(t("review.problems"))
st.markdown(f"{review.problems_sentence(found, f.category, f.channel, f.period)} :gray[{t('review.problems_note')}]")
if found.total:
    rows, cols = ({one: name(one) for one in axis} for axis, name in ((found.grid.index, f.category), (found.grid.columns, f.channel)))
    with st.grid(1, min_column_width=620, wrap=False):
        st.plotly_chart(charts.heat_strip(list(rows.values()), list(cols.values()), found.grid.to_numpy().tolist(), found.changes,
                                          {"total": t("review.total"), "change": t("review.compared_short")}),
                        config=charts.CONFIG, alt=t("review.problems_alt", category=next(iter(rows.values()))), key="problems")
    links.picker(t("review.open_list"), rows, cols, lambda row, col: int(found.grid.loc[row, col]), LIST,
                 lambda row, col: f.link(code="received", category=row, channel=col), key="cells")

# -- how it was judged
with st.expander(t("review.statistics"), icon=":material/query_stats:", key="notes", on_change="rerun", bind="query-params") as notes:
    if notes.open:
        left, right = st.columns(2, gap="medium")
        with left:
            links.section(t("review.control_title"), t("review.control_note"))
            said = review.control_words(chart, judgement)
            st.plotly_chart(charts.control_chart(chart.rates, chart.low, chart.high, chart.mean, review.control_ticks(days), said,
                                                 review.control_signals(chart), phone=phone), config=charts.CONFIG, alt=said["alt"], key="control")
        with right:
            links.section(t("review.funnel_title"), t("review.funnel_note"))
            points, curve, mean = review.funnel(peers, name)
            st.plotly_chart(charts.funnel(points, curve, mean, {
                "x": t("review.funnel_x"), "mean": t("review.funnel_mean", rate=f"{mean:.1f}%"), "narrow": t("review.funnel_narrow"),
                "wide": t("review.funnel_wide"), "unit": t("unit.cases", n="{n}"), "empty": t("empty.chart")}, phone=phone),
                config=charts.CONFIG, alt=t("review.funnel_alt", n=int((peers.word == "low").sum())), key="funnel")
        st.caption(t("review.method"))
