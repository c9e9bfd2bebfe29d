"""The one chart template. Plain plotly dicts: no graph_objects, no express, no Streamlit, no word of any language.

Colours are Streamlit's theme *tokens*: with ``theme="streamlit"`` the browser replaces the strings "#000001".."#000010"
by theme.chartCategoricalColors[0..9], "#000011".."#000020" by chartSequentialColors and "#000021".."#000030" by
chartDivergingColors of the mode on screen. So a figure is built once, cached once, and follows light and dark without
the server knowing which is shown.

``phone=True`` leaves labels and margins out; every function takes empty data and then returns a figure that says
``words["empty"]`` in the same height, so nothing jumps. Rates are percentages, 0 to 100.
"""

import re
from collections.abc import Mapping, Sequence
from math import ceil, floor, log10

ACCENT, SOFT, REST, LATE, SOON = "#000001", "#000002", "#000003", "#000004", "#000005"
BAND, INK, MUTED, LINE, LATE_SOFT = "#000006", "#000007", "#000008", "#000009", "#000010"
AMBER = ("#000027", "#000028")  # diverging [6], [7]: due soon as a fill under text
SEQUENTIAL = [f"#0000{i}" for i in range(11, 21)]
CLEAR = "rgba(0,0,0,0)"
SIZE = 12  # every mark of text in a chart
FONT = {"size": SIZE, "color": MUTED}
CONFIG = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False, "showTips": False}
NOT_COUNTED, COUNTED, PAST_TARGET, LIMIT, LATE_DAY = range(5)  # kinds of day of the limit strip


# -- the template ---------------------------------------------------------------------------------------------------

def axis(**changes) -> dict:
    """A bare axis: no grid, line, ticks or title."""
    return {"showgrid": False, "zeroline": False, "showline": False, "ticks": "", "fixedrange": True,
            "tickfont": dict(FONT), "title": {"text": ""}, "automargin": False, **changes}


def figure(data, height, *, x=None, y=None, margin=(0, 0, 8, 24), notes=(), shapes=(), **layout) -> dict:
    """A figure; margin is left, right, top, bottom in px: fixed, so that neighbours line up and nothing jumps."""
    left, right, top, bottom = margin
    return {"data": list(data), "layout": {
        "template": {"layout": {}, "data": {}},  # without it the browser does not put theme colours in
        "height": height, "margin": {"l": left, "r": right, "t": top, "b": bottom, "pad": 0},
        "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR, "font": dict(FONT), "showlegend": False,
        "dragmode": False, "hovermode": "closest", "bargap": 0.35, "title": {"text": ""},
        "xaxis": x or axis(), "yaxis": y or axis(), "annotations": list(notes), "shapes": list(shapes),
        "hoverlabel": {"align": "left"}, **layout}}


def note(text, x, y, *, color=MUTED, anchor="left", valign="middle", xref="x", yref="y", dx=0, dy=0, size=SIZE) -> dict:
    """A direct label, never an arrow."""
    return {"text": text, "x": x, "y": y, "xref": xref, "yref": yref, "xanchor": anchor, "yanchor": valign,
            "xshift": dx, "yshift": dy, "showarrow": False, "font": {"size": size, "color": color}}


def line(x0, x1, y0, y1, *, color=LINE, width=1, dash="solid", xref="x", yref="y") -> dict:
    """A straight line below the marks."""
    return {"type": "line", "x0": x0, "x1": x1, "y0": y0, "y1": y1, "xref": xref, "yref": yref,
            "layer": "below", "line": {"color": color, "width": width, "dash": dash}}


def empty(height: int, words: Mapping) -> dict:
    """The same space with a sentence in it."""
    hidden = axis(visible=False, range=[0, 1])
    return figure([], height, x=hidden, y=dict(hidden),
                  notes=[note(words.get("empty", ""), 0, 0.5, xref="paper", yref="paper")])


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers (1, 2, 4, 5 times a power of ten) within low..high, about as many as wanted."""
    if high <= low:
        return [low]
    rough = (high - low) / wanted
    power = 10 ** floor(log10(rough))
    step = next(m * power for m in (1, 2, 4, 5, 10) if m * power >= rough * 0.999)
    return [round(i * step, 6) for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def percent_range(values: Sequence[float], pad: float = 0.08) -> tuple[list[float], list[float]]:
    """Range and ticks of a percentage axis that shows all values with some air, and 100 where they come near it."""
    low, high = min(values), max(values)
    if high - low < 4:  # a flat line is drawn flat
        low, high = max(min(low, high - 4), 0), max(high, 4)
    air = max((high - low) * pad, 0.6)
    low, high = max(low - air, 0), min(high + air, 100 + air)
    return [low, high], [v for v in ticks(low, min(high, 100), 3) if low + air / 4 <= v]


def sparkline(values: Sequence[float | None], last: int = 12) -> list[float]:
    """The last values for ``st.metric(chart_data=…)``, without the empty ones; [] if a line cannot be drawn."""
    kept = [float(v) for v in values[-last:] if v is not None and v == v]
    return kept if len(kept) > 1 else []


def apart(places: Sequence[float], room: float) -> list[float]:
    """Shifts that keep labels at ``places`` (same unit as room) at least ``room`` from each other, order kept."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    target = [places[i] for i in order]
    for _ in range(50):
        for i in range(1, len(target)):
            lack = room - (target[i] - target[i - 1])
            if lack > 1e-9:
                target[i - 1] -= lack / 2
                target[i] += lack / 2
    shifts = [0.0] * len(places)
    for i, where in zip(order, target):
        shifts[i] = where - places[i]
    return shifts


def _px(text: str) -> int:
    """About how wide a text is drawn; <b> and the like take no room."""
    return sum(7 if ord(c) < 0x2e80 else 13 for c in re.sub("<[^>]*>", "", text))


# -- the charts -----------------------------------------------------------------------------------------------------

def control_chart(rate: Sequence[float | None], low: Sequence[float | None], high: Sequence[float | None],
                  mean: float | None, x_ticks: Sequence[tuple[int, str]], words: Mapping,
                  signals: Sequence[tuple[int, str]] = (), height: int = 236, phone: bool = False) -> dict:
    """Rate by week, oldest first; None where nothing was due. The grey band is where chance alone would leave it.

    low, high: limits per week (they step with n). x_ticks: (index of the week, its words). signals: (index, its words),
    the newest last; only that one is written out. words: last, mean, high, low (labels at the right edge),
    hover (one per week), gaps [(index, words)], empty.
    """
    weeks = [i for i, value in enumerate(rate) if value is not None]
    if not weeks:
        return empty(height, words)
    last, end = weeks[-1], len(rate) - 1
    band = [i for i in weeks if low[i] is not None and high[i] is not None]
    shown = [rate[i] for i in weeks] + [low[i] for i in band] + [high[i] for i in band]
    shown += [mean] if mean is not None else []
    scope, y_ticks = percent_range(shown)
    margin = (44, 12 if phone else 148, 10, 26)
    limits = {"type": "scatter", "mode": "lines", "line": {"width": 0, "shape": "hvh"}, "hoverinfo": "skip"}
    data = [
        {**limits, "x": band, "y": [high[i] for i in band]},
        {**limits, "x": band, "y": [low[i] for i in band], "fill": "tonexty", "fillcolor": BAND},
        {"type": "scatter", "x": list(range(len(rate))), "y": list(rate), "mode": "lines+markers", "connectgaps": False,
         "line": {"color": ACCENT, "width": 1.6},
         "marker": {"color": ACCENT, "size": [9 if i == last else 4 for i in range(len(rate))]},
         "text": list(words.get("hover", [""] * len(rate))), "hovertemplate": "%{text}<extra></extra>"},
    ]
    notes = []
    if not phone:
        labels = [(words.get("last"), rate[last], ACCENT), (words.get("mean"), mean, MUTED)]
        labels += [(words.get("high"), high[band[-1]], MUTED), (words.get("low"), low[band[-1]], MUTED)] if band else []
        labels = [label for label in labels if label[0] and label[1] is not None]
        per_px = (scope[1] - scope[0]) / (height - margin[2] - margin[3])
        shifts = apart([value for _, value, _ in labels], 16 * per_px)
        notes += [note(text, end, value, color=color, dx=12, dy=shift / per_px)
                  for (text, value, color), shift in zip(labels, shifts)]
        notes += [note(text, where, low[band[-1]] if band else scope[0], anchor="center", valign="bottom", dy=4)
                  for where, text in words.get("gaps", ())]
    for where, text in signals:
        data.append({"type": "scatter", "x": [where], "y": [rate[where]], "mode": "markers", "hoverinfo": "skip",
                     "marker": {"symbol": "diamond-open", "size": 13, "color": INK,
                                "line": {"width": 1.6, "color": INK}}})
    if signals and not phone:
        where, text = signals[-1]
        left = where > end / 2
        notes.append(note(text, where, rate[where], color=INK, anchor="right" if left else "left",
                          dx=-14 if left else 14))
    return figure(data, height, margin=margin, notes=notes,
                  shapes=[line(0, end, mean, mean, color=REST, dash="dot")] if mean is not None else [],
                  x=axis(tickangle=0, tickvals=[i for i, _ in x_ticks], ticktext=[text for _, text in x_ticks],
                         range=[-0.6, end + 0.6]),
                  y=axis(range=scope, tickvals=y_ticks, ticktext=[f"{v:g}%" for v in y_ticks]))


def funnel(points: Sequence[Mapping], curve: Sequence[tuple], mean: float, words: Mapping, height: int = 300,
           phone: bool = False) -> dict:
    """Units by number due (x) and rate (y), against the limits of chance.

    points: mappings of n, rate, kind ("" | "low" | "high" | "small"), hover, label (None unless it stands out).
    curve: (n, (low95, high95), (low998, high998)), n rising. words: x, mean, narrow, wide, unit ("{n}件" as a
    format string for the ticks), empty.
    """
    if not points or not curve:
        return empty(height, words)
    right = max(max(p["n"] for p in points), curve[-1][0]) * 1.02
    scope, y_ticks = percent_range([p["rate"] for p in points] + [mean, 100], 0.06)
    margin = (44, 12 if phone else 92, 10, 40)
    n = [c[0] for c in curve]
    data = [{"type": "scatter", "x": n, "y": [c[k][side] for c in curve], "mode": "lines", "hoverinfo": "skip",
             "line": {"color": REST if k == 2 else LINE, "width": 1, "dash": "solid" if k == 2 else "dot"}}
            for k in (1, 2) for side in (0, 1)]
    stands_out = {"color": INK, "size": 11, "symbol": "diamond"}
    hollow = {"color": CLEAR, "size": 9, "line": {"color": REST, "width": 1.4}}
    styles = {"": {"color": SOFT, "size": 9}, "small": hollow, "low": stands_out,
              "high": {**stands_out, "symbol": "diamond-open"}}
    for kind, style in styles.items():
        some = [p for p in points if p["kind"] == kind]
        data.append({"type": "scatter", "mode": "markers", "x": [p["n"] for p in some], "y": [p["rate"] for p in some],
                     "marker": style, "text": [p["hover"] for p in some], "hovertemplate": "%{text}<extra></extra>"})
    notes = []
    for p in points:
        if p.get("label"):
            left = p["n"] > right * 0.7
            notes.append(note(p["label"], p["n"], p["rate"], color=INK if p["kind"] in ("low", "high") else MUTED,
                              anchor="right" if left else "left", dx=-10 if left else 10))
    if not phone:
        _, narrow, wide = curve[-1]
        labels = [(words["mean"], mean), (words["narrow"], narrow[0]), (words["wide"], wide[0])]
        labels = [label for label in labels if scope[0] <= label[1]]
        per_px = (scope[1] - scope[0]) / (height - margin[2] - margin[3])
        notes += [note(text, 1, value, xref="paper", dx=6, dy=shift / per_px)
                  for (text, value), shift in zip(labels, apart([value for _, value in labels], 15 * per_px))]
    x_ticks = [v for v in ticks(0, right, 5) if v > 0]
    return figure(data, height, margin=margin, notes=notes, shapes=[line(0, right, mean, mean, color=REST, dash="dot")],
                  x=axis(range=[0, right], tickangle=0, tickvals=x_ticks,
                         ticktext=[words.get("unit", "{n}").format(n=f"{v:g}") for v in x_ticks],
                         title={"text": words.get("x", ""), "font": dict(FONT), "standoff": 6}),
                  y=axis(range=scope, tickvals=y_ticks, ticktext=[f"{v:g}%" for v in y_ticks]))


def ageing(labels: Sequence[str], counts: Sequence[int], words: Mapping, step_after: int = 2,
           height: int = 132) -> dict:
    """Overdue complaints by days late, zeros written; deeper red past the step, which is written, not only coloured.

    labels, counts: the buckets in order. step_after: index of the last bucket before the step. words: counts (a text
    per bucket, "12件"), step, empty.
    """
    if not counts:
        return empty(height, words)
    places = list(range(len(labels)))
    data = [{"type": "bar", "x": places, "y": list(counts), "width": 0.62, "hoverinfo": "skip",
             "marker": {"color": [LATE if i > step_after else LATE_SOFT for i in places]},
             "text": list(words["counts"]), "textposition": "outside", "cliponaxis": False, "textangle": 0,
             "textfont": {"size": 13, "color": INK}}]
    return figure(data, height, margin=(0, 0, 26, 22),
                  x=axis(tickangle=0, tickvals=places, ticktext=list(labels), range=[-0.5, len(labels) - 0.5]),
                  y=axis(visible=False, range=[0, max(counts) * 1.12 or 1]),
                  shapes=[line(-0.5, len(labels) - 0.5, 0, 0),
                          line(step_after + 0.5, step_after + 0.5, 0, 1.16, yref="paper", color=REST, dash="dot")],
                  notes=[note(words["step"], step_after + 0.5, 1.17, yref="paper", dx=6, valign="top", color=LATE)])


def heat_strip(rows: Sequence[str], cols: Sequence[str], z: Sequence[Sequence[int]], changes: Sequence[int],
               words: Mapping, left: int | None = None) -> dict:
    """Counts by row (category) and column (channel): the number in every cell, the shade only helps the eye.

    changes: per row, against the period before; totals are the sums of the rows. words: total, change (heads at the
    right), empty. left: px for the row names, from their length if not given. Height: 24 + 27 px a row.
    """
    if not rows or not cols:
        return empty(80, words)
    top = max((max(r) for r in z), default=0) or 1
    left = left or 18 + max(map(_px, rows))
    data = [{"type": "heatmap", "x": list(range(len(cols))), "y": list(range(len(rows))), "zmin": 0, "zmax": 1,
             "z": [[(v / top) ** 0.6 for v in r] for r in z],  # the root, or one large cell leaves the others white
             "text": [[f"{v:,}" if v else "·" for v in r] for r in z], "texttemplate": "%{text}",
             "textfont": {"size": SIZE, "color": INK}, "colorscale": [[i / 9, c] for i, c in enumerate(SEQUENTIAL)],
             "showscale": False, "xgap": 2, "ygap": 2, "hoverinfo": "skip"}]
    notes = []
    for i, (row, change) in enumerate(zip(z, changes)):
        word = f"▲{change:,}" if change > 0 else f"▼{-change:,}" if change < 0 else "—"
        notes += [note(f"<b>{sum(row):,}</b>", 1, i, xref="paper", dx=42, anchor="right", color=INK),
                  note(word, 1, i, xref="paper", dx=88, anchor="right", color=INK if change > 0 else MUTED)]
    notes += [note(words["total"], 1, 1, xref="paper", yref="paper", dx=42, dy=12, anchor="right"),
              note(words["change"], 1, 1, xref="paper", yref="paper", dx=88, dy=12, anchor="right")]
    return figure(data, 24 + 27 * len(rows), margin=(left, 92, 24, 0), notes=notes,
                  x=axis(side="top", tickangle=0, tickvals=list(range(len(cols))), ticktext=list(cols),
                         range=[-0.5, len(cols) - 0.5]),
                  y=axis(tickvals=list(range(len(rows))), ticktext=list(rows), range=[len(rows) - 0.5, -0.5],
                         ticklabelstandoff=6, tickfont={"size": SIZE, "color": INK}))


def limit_strip(days: Sequence[Mapping], marks: Sequence[tuple], words: Mapping, height: int = 128,
                width: int = 1230) -> dict:
    """The day-by-day trace of a limit, one cell a day, the count inside.

    days: mappings of label (under the cell; "<br>" breaks), kind (NOT_COUNTED, COUNTED, PAST_TARGET, LIMIT, LATE_DAY),
    text (in the cell), hover. marks: (index or middle of a run of days, words, tone "" | "strong" | "late") for
    receipt, make-up days, holidays, target, limit, today. words: empty. width: px it is drawn in, about; marks that
    would run into each other are left out (they are in the hover), the late and strong ones last.
    """
    if not days:
        return empty(height, words)
    count = len(days)
    colours = [BAND, SOFT, *AMBER, LATE_SOFT]  # pale enough for INK to stay readable in both modes
    scale = [[place / 5, c] for i, c in enumerate(colours) for place in (i, i + 1)]
    data = [{"type": "heatmap", "x": list(range(count)), "y": [0], "z": [[d["kind"] + 0.5 for d in days]], "zmin": 0,
             "zmax": 5, "colorscale": scale, "showscale": False, "xgap": 3, "text": [[d["text"] for d in days]],
             "texttemplate": "%{text}", "textfont": {"size": SIZE, "color": INK},
             "hovertext": [[d["hover"] for d in days]], "hovertemplate": "%{hovertext}<extra></extra>"}]
    tones = {"": MUTED, "strong": INK, "late": LATE}
    notes, taken = [], []
    for where, text, tone in sorted(marks, key=lambda mark: ("late", "strong", "").index(mark[2])):
        anchor = "left" if where < 1 else "right" if where > count - 2 else "center"
        long = _px(text)
        start = (where + 0.5) * width / count - {"left": width / count / 2, "center": long / 2, "right": long}[anchor]
        if any(start < right + 8 and left < start + long + 8 for left, right in taken):
            continue
        taken.append((start, start + long))
        notes.append(note(text, where - 0.5 if anchor == "left" else where + 0.5 if anchor == "right" else where, 1,
                          yref="paper", anchor=anchor, valign="bottom", dy=4, color=tones[tone]))
    return figure(data, height, margin=(0, 0, 26, 38), notes=notes,
                  x=axis(tickangle=0, tickvals=list(range(count)), ticktext=[d["label"] for d in days],
                         range=[-0.5, count - 0.5]),
                  y=axis(visible=False))
