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
from html import escape, unescape
from math import ceil, floor, log10

from dashboard.words import visible

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
    unseen = {"type": "scatter", "mode": "markers", "x": [0], "y": [0], "marker": {"opacity": 0}, "hoverinfo": "skip"}
    return figure([unseen], height, x=hidden, y=dict(hidden),  # plotly takes no figure without a mark
                  notes=[note(words.get("empty", ""), 0, 0.5, xref="paper", yref="paper")])


def clickable(figure: dict) -> dict:
    """The same figure with marks that can be clicked and do not fade when one of them is. A heat map takes no clicks in
    Streamlit: unseen squares lie over its cells (``customdata`` = [row, column])."""
    data = []
    for trace in figure["data"]:
        if trace["type"] == "heatmap":
            cells = [(row, col) for row in range(len(trace["z"])) for col in range(len(trace["z"][row]))]
            data += [trace, {"type": "scatter", "mode": "markers", "x": [trace["x"][col] for _, col in cells],
                             "y": [trace["y"][row] for row, _ in cells], "customdata": [list(cell) for cell in cells],
                             "hoverinfo": "none", "marker": {"symbol": "square", "size": 26, "opacity": 0},
                             "unselected": {"marker": {"opacity": 0}}, "selected": {"marker": {"opacity": 0}}}]
        elif trace["type"] in ("bar", "scatter") and "markers" in trace.get("mode", "markers"):
            hover = {"hoverinfo": "none"} if trace.get("hoverinfo") == "skip" else {}  # "skip" takes no clicks either
            data.append({**trace, **hover, "unselected": {"marker": {"opacity": 1}}})
        else:
            data.append(trace)
    return {**figure, "data": data}


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


def number_range(values: Sequence[float], pad: float = 0.08) -> tuple[list[float], list[float]]:
    """Range and ticks of an axis of numbers that shows all values with some air; not below 0."""
    low, high = min(values), max(values)
    air = (high - low) * pad or max(abs(high), 1) * pad
    low, high = max(low - air, 0) if low >= 0 else low - air, high + air
    return [low, high], ticks(low, high, 3)


def sparkline(values: Sequence[float | None], last: int = 12, height: int = 44) -> dict | None:
    """The last values as a small line with a point at its end, or None if a line cannot be drawn."""
    kept = [float(v) for v in values[-last:] if v is not None and v == v]
    if len(kept) < 2:
        return None
    low, high = min(kept), max(kept)
    air = (high - low) * 0.15 or 1
    data = [{"type": "scatter", "mode": "lines+markers", "x": list(range(len(kept))), "y": kept, "hoverinfo": "skip",
             "line": {"color": REST, "width": 1.6}, "cliponaxis": False,
             "marker": {"color": ACCENT, "size": [0] * (len(kept) - 1) + [6]}}]
    return figure(data, height, margin=(7, 7, 4, 4), x=axis(visible=False, range=[0, len(kept) - 1]),
                  y=axis(visible=False, range=[low - air, high + air]))


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


def plain(text: str) -> str:
    """Somebody's text (the name of a unit, a category, a holiday) as a chart shows exactly it: Plotly reads HTML in its texts."""
    return escape(visible(text), quote=False)


def _px(text: str) -> int:
    """About how wide a text is drawn; <b> and the like take no room."""
    return sum(7 if ord(c) < 0x2e80 else 13 for c in unescape(re.sub("<[^>]*>", "", text)))


# -- the charts -----------------------------------------------------------------------------------------------------

def control_chart(rate: Sequence[float | None], low: Sequence[float | None], high: Sequence[float | None],
                  mean: float | None, x_ticks: Sequence[tuple[int, str]], words: Mapping,
                  signals: Sequence[tuple[int, str]] = (), height: int = 236, phone: bool = False,
                  percent: bool = True) -> dict:
    """Rate by week, oldest first; None where nothing was due. The grey band is where chance alone would leave it.
    ``percent=False``: a number by week, None where there is none.

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
    scope, y_ticks = percent_range(shown) if percent else number_range(shown)
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
                  y=axis(range=scope, tickvals=y_ticks, ticktext=[f"{v:g}{'%' if percent else ''}" for v in y_ticks]))


def funnel(points: Sequence[Mapping], curve: Sequence[tuple], mean: float, words: Mapping, height: int = 300,
           phone: bool = False) -> dict:
    """Units by number due (x) and rate (y), against the limits of chance.

    points: mappings of n, rate, kind ("" | "low" | "high" | "small"), hover, label (None unless it stands out), and
    id for a click. curve: (n, (low95, high95), (low998, high998)), n rising; where peer groups have limits of their
    own, (…, centre) and a None between them; ``mean`` is then the last one's. words: x, mean, narrow, wide, unit
    ("{n}件" as a format string for the ticks), empty.
    """
    if not points or not curve:
        return empty(height, words)
    right = max(max(p["n"] for p in points), curve[-1][0]) * 1.02
    scope, y_ticks = percent_range([p["rate"] for p in points] + [mean, 100], 0.06)
    margin = (44, 12 if phone else 92, 10, 40)
    n, grouped = [c and c[0] for c in curve], len(curve[-1]) > 3
    data = [{"type": "scatter", "x": n, "y": [c and c[k][side] for c in curve], "mode": "lines", "hoverinfo": "skip",
             "connectgaps": False,
             "line": {"color": REST if k == 2 else LINE, "width": 1, "dash": "solid" if k == 2 else "dot"}}
            for k in (1, 2) for side in (0, 1)]
    if grouped:
        data.append({"type": "scatter", "x": n, "y": [c and c[3] for c in curve], "mode": "lines", "hoverinfo": "skip",
                     "connectgaps": False, "line": {"color": REST, "width": 1, "dash": "dot"}})
    stands_out = {"color": INK, "size": 11, "symbol": "diamond"}
    hollow = {"color": CLEAR, "size": 9, "line": {"color": REST, "width": 1.4}}
    styles = {"": {"color": SOFT, "size": 9}, "small": hollow, "low": stands_out,
              "high": {**stands_out, "symbol": "diamond-open"}}
    for kind, style in styles.items():
        some = [p for p in points if p["kind"] == kind]
        data.append({"type": "scatter", "mode": "markers", "x": [p["n"] for p in some], "y": [p["rate"] for p in some],
                     "marker": style, "customdata": [p.get("id") for p in some],
                     "text": [p["hover"] for p in some], "hovertemplate": "%{text}<extra></extra>"})
    notes = []
    for p in points:
        if p.get("label"):
            left = p["n"] > right * 0.7
            notes.append(note(p["label"], p["n"], p["rate"], color=INK if p["kind"] in ("low", "high") else MUTED,
                              anchor="right" if left else "left", dx=-10 if left else 10))
    if not phone:
        _, narrow, wide = curve[-1][:3]
        labels = [(words["mean"], mean), (words["narrow"], narrow[0]), (words["wide"], wide[0])]
        labels = [label for label in labels if scope[0] <= label[1]]
        per_px = (scope[1] - scope[0]) / (height - margin[2] - margin[3])
        notes += [note(text, 1, value, xref="paper", dx=6, dy=shift / per_px)
                  for (text, value), shift in zip(labels, apart([value for _, value in labels], 15 * per_px))]
    x_ticks = [v for v in ticks(0, right, 5) if v > 0]
    return figure(data, height, margin=margin, notes=notes,
                  shapes=[] if grouped else [line(0, right, mean, mean, color=REST, dash="dot")],
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


def months(rates: Sequence[float | None], ticks_: Sequence[str], chosen: int | None, words: Mapping, height: int = 214,
           phone: bool = False, bounds: Sequence[tuple[float, float] | None] = ()) -> dict:
    """A rate by month, oldest first, None where nothing was due; the value stands at every point, the chosen one bold.

    words: hover (one a month), empty. bounds: the interval of each rate, drawn as a whisker. On a phone only the chosen,
    the best and the worst month carry their value.
    """
    known = [i for i, value in enumerate(rates) if value is not None]
    if not known:
        return empty(height, words)
    around = [(rates[i], rates[i]) if not bounds else bounds[i] for i in known]
    low, high = min(low for low, _ in around), max(high for _, high in around)
    middle, half = (low + high) / 2, max(2, 0.6 * (high - low))  # a flat line is drawn flat
    tops = dict(zip(known, (high for _, high in around)))
    ends = {min(known, key=lambda i: rates[i]), max(known, key=lambda i: rates[i]), chosen}
    data = [{"type": "scatter", "mode": "lines+markers", "x": list(range(len(rates))), "y": list(rates), "connectgaps": False,
             "line": {"color": ACCENT, "width": 1.6},
             "marker": {"color": [ACCENT if i == chosen else SOFT for i in range(len(rates))],
                        "size": [11 if i == chosen else 8 for i in range(len(rates))]},
             "text": list(words["hover"]), "hovertemplate": "%{text}<extra></extra>"}]
    if bounds:
        data[0]["error_y"] = _whiskers(rates, bounds)
    notes = [note(f"<b>{rates[i]:.1f}</b>" if i == chosen else f"{rates[i]:.1f}", i, tops[i], anchor="center", valign="bottom",
                  dy=2 if bounds else 7,
                  color=INK if i == chosen else MUTED) for i in known if not phone or i in ends]
    return figure(data, height, margin=(12, 12, 20, 40), notes=notes,
                  x=axis(tickangle=0, tickvals=list(range(len(rates))), ticktext=list(ticks_), range=[-0.5, len(rates) - 0.5]),
                  y=axis(visible=False, range=[middle - half, middle + half]))


def _whiskers(rates: Sequence[float | None], bounds: Sequence[tuple[float, float] | None]) -> dict:
    """Plotly's error bars from intervals."""
    pairs = [(0, 0) if rate is None or pair is None else (max(rate - pair[0], 0), max(pair[1] - rate, 0)) for rate, pair in zip(rates, bounds)]
    return {"type": "data", "symmetric": False, "arrayminus": [low for low, _ in pairs], "array": [high for _, high in pairs],
            "color": REST, "thickness": 1.4, "width": 0}


def intervals(points: Sequence[Mapping], mean: float | None, words: Mapping, row: int = 34, top: int = 34) -> dict:
    """Rates with their intervals, a row each in the order given: a dot and its whisker, the mean of all as a dotted line.

    points: mappings of label, rate, low, high (in %; rate None: no case, no mark), kind ("" | "low" | "high" | "small"), hover.
    Few cases are hollow and do not set the scale. words: mean, empty. Row height and top in px, so that a table beside lines up.
    """
    known = [p for p in points if p["rate"] is not None]
    if not known:
        return empty(80, words)
    setting = [p for p in known if p["kind"] != "small"] or known
    shown = [p["low"] for p in setting] + [p["high"] for p in setting] + [max(p["rate"] for p in known)]
    scope, _ = percent_range(shown + ([mean] if mean is not None else []), 0.04)
    x_ticks = ticks(scope[0], min(scope[1], 100))
    at = [None if p["rate"] is None else max(p["rate"], scope[0]) for p in points]  # off the scale: at its edge, a triangle
    ends = [None if p["rate"] is None else (max(p["low"], scope[0]), min(p["high"], scope[1])) for p in points]
    symbols = {"": "circle", "low": "diamond", "high": "diamond-open", "small": "circle-open"}
    data = [{"type": "scatter", "mode": "markers", "x": at, "y": list(range(len(points))), "error_x": _whiskers(at, ends),
             "marker": {"symbol": ["triangle-left-open" if one is not None and p["rate"] < one else symbols[p["kind"]] for p, one in zip(points, at)],
                        "size": [11 if p["kind"] in ("low", "high") else 9 for p in points],
                        "color": [{"low": INK, "high": INK, "small": REST}.get(p["kind"], ACCENT) for p in points], "line": {"width": 1.4}},
             "text": [p["hover"] for p in points], "hovertemplate": "%{text}<extra></extra>", "cliponaxis": False}]
    left = 18 + max(_px(p["label"]) for p in points)
    across = [line(mean, mean, -0.5, len(points) - 0.5, color=REST, dash="dot")] if mean is not None else []
    notes = [note(words["mean"], mean, len(points) - 0.5, anchor="center", valign="top", dy=-4)] if mean is not None else []
    return figure(data, top + row * len(points) + 24, margin=(left, 14, top, 24), notes=notes, shapes=across,
                  x=axis(side="top", tickangle=0, range=scope, tickvals=x_ticks, ticktext=[f"{v:g}%" for v in x_ticks]),
                  y=axis(range=[len(points) - 0.5, -0.5], tickvals=list(range(len(points))), ticktext=[p["label"] for p in points],
                         ticklabelstandoff=6, tickfont={"size": SIZE, "color": INK}))


def path(labels: Sequence[str], lengths: Sequence[float], texts: Sequence[str], words: Mapping) -> dict:
    """Stretches of a way one after the other, each beginning where the one before ends: a row each, its text behind it.

    words: empty. Height: 8 + 28 px a row.
    """
    if not sum(lengths):
        return empty(80, words)
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    most = max(lengths)
    data = [{"type": "bar", "orientation": "h", "x": list(lengths), "base": starts, "y": list(range(len(labels))), "width": 0.6,
             "marker": {"color": [ACCENT if length == most else SOFT for length in lengths]}, "hoverinfo": "skip"}]
    notes = [note(text, start + length, i, dx=6, color=INK) for i, (text, start, length) in enumerate(zip(texts, starts, lengths))]
    return figure(data, 8 + 28 * len(labels), margin=(12 + max(map(_px, labels)), 16 + max(map(_px, texts)), 4, 4), notes=notes,
                  x=axis(visible=False, range=[0, sum(lengths)]),
                  y=axis(tickvals=list(range(len(labels))), ticktext=list(labels), range=[len(labels) - 0.5, -0.5], ticklabelstandoff=6,
                         tickfont={"size": SIZE, "color": INK}))


def split_bars(labels: Sequence[str], part: Sequence[int], whole: Sequence[int], texts: Sequence[str], words: Mapping,
               height: int = 176) -> dict:
    """Counts in order, of each a part in the accent colour at the foot of its bar; ``texts`` stand above. words: x, empty."""
    if not any(whole):
        return empty(height, words)
    places = list(range(len(labels)))
    bar = {"type": "bar", "x": places, "width": 0.62, "hoverinfo": "skip"}
    data = [{**bar, "y": list(part), "marker": {"color": ACCENT}},
            {**bar, "y": [all_ - one for all_, one in zip(whole, part)], "marker": {"color": SOFT}}]
    notes = [note(text, i, n, anchor="center", valign="bottom", dy=2, color=INK) for i, (text, n) in enumerate(zip(texts, whole))]
    return figure(data, height, margin=(0, 0, 20, 40), notes=notes, barmode="stack", shapes=[line(-0.5, len(labels) - 0.5, 0, 0)],
                  x=axis(tickangle=0, tickvals=places, ticktext=list(labels), range=[-0.5, len(labels) - 0.5],
                         title={"text": words.get("x", ""), "font": dict(FONT), "standoff": 6}),
                  y=axis(visible=False, range=[0, max(whole) * 1.08]))


def positions(rows: Sequence[Mapping], words: Mapping, phone: bool = False) -> dict:
    """One unit among its peers, a line for each indicator, better to the right: dots are peers, the diamond is the unit, the
    tick the group together. Every line has its own scale, whose ends are written.

    rows: mappings of label, values, keys (of the units, ``customdata``), own (key), group (value or None), flip (less is
    better), text (beside the diamond), ends (least and greatest as text), hover (one per value). words: worse, better (over
    the ends), group (over the first tick), empty. Height: 34 + 56 px a row.
    """
    if not rows:
        return empty(120, words)
    left, data, shapes, notes = 14 + max(_px(row["label"]) for row in rows), [], [], []
    for y, row in enumerate(rows):
        low, high = min(row["values"]), max(row["values"])
        place = [_share(value, low, high, row["flip"]) for value in row["values"]]
        least, most = row["ends"][::-1] if row["flip"] else row["ends"]
        shapes.append(line(0, 1, y, y))
        if row["group"] is not None:
            x = _share(min(max(row["group"], low), high), low, high, row["flip"])
            shapes.append(line(x, x, y - 0.16, y + 0.16, color=MUTED, width=1.6))
            if y == 0 and not phone:
                notes.append(note(words["group"], x, y, anchor="center", valign="top", dy=-9))
        here = row["keys"].index(row["own"])
        others = [i for i in range(len(place)) if i != here]
        data.append({"type": "scatter", "mode": "markers", "x": [place[i] for i in others], "y": [y] * len(others),
                     "marker": {"color": SOFT, "size": 9, "opacity": 0.9}, "text": [row["hover"][i] for i in others],
                     "customdata": [row["keys"][i] for i in others], "hovertemplate": "%{text}<extra></extra>"})
        data.append({"type": "scatter", "mode": "markers", "x": [place[here]], "y": [y], "text": [row["hover"][here]],
                     "customdata": [row["keys"][here]], "hovertemplate": "%{text}<extra></extra>",
                     "marker": {"color": INK, "size": 12, "symbol": "diamond"}})
        side = "left" if place[here] < 0.25 else "right" if place[here] > 0.75 else "center"
        notes += [note(f"<b>{row['text']}</b>", place[here], y, anchor=side, valign="bottom", color=INK, dy=8,
                       dx={"left": -6, "right": 6, "center": 0}[side]),
                  note(least, 0, y, anchor="left", valign="top", dy=-9, dx=-6), note(most, 1, y, anchor="right", valign="top", dy=-9, dx=6)]
    notes += [note(words["worse"], 0, 1, yref="paper", valign="bottom", dy=4, dx=-6),
              note(words["better"], 1, 1, yref="paper", anchor="right", valign="bottom", dy=4, dx=6)]
    return figure(data, 34 + 56 * len(rows), margin=(left, 12, 24, 10), notes=notes, shapes=shapes,
                  x=axis(visible=False, range=[-0.03, 1.03]),
                  y=axis(tickvals=list(range(len(rows))), ticktext=[row["label"] for row in rows], range=[len(rows) - 0.45, -0.55],
                         ticklabelstandoff=6, tickfont={"size": SIZE, "color": INK}))


def _share(value: float, low: float, high: float, flip: bool) -> float:
    """Where a value lies between the ends, 0 to 1; the middle where they are the same."""
    share = (value - low) / (high - low) if high > low else 0.5
    return 1 - share if flip else share


def heat_strip(rows: Sequence[str], cols: Sequence[str], z: Sequence[Sequence[int]], changes: Sequence[int],
               words: Mapping, left: int | None = None, narrow: bool = False) -> dict:
    """Counts by row (category) and column (channel): the number in every cell, the shade only helps the eye.

    changes: per row, against the period before; totals are the sums of the rows. words: total, change (heads at the
    right), empty. left: px for the row names, from their length if not given. narrow: on a phone the column names stand
    upright, and thousands are smaller and undivided. Height: 24 (on a phone 64) + 27 px a row.
    """
    if not rows or not cols:
        return empty(80, words)
    top = max((max(r) for r in z), default=0) or 1
    left = left or 18 + max(map(_px, rows))
    moved = [f"▲{change:,}" if change > 0 else f"▼{-change:,}" if change < 0 else "—" for change in changes]
    high, total, changed = (64, 30, 66) if narrow else (24, 42, 88)
    total = max(total, 8 + max(_px(f"{sum(row):,}") for row in z))
    changed = max(changed, total + 6 + max(map(_px, moved)))
    small = SIZE if not narrow or top < 1_000 else 10 if top < 10_000 else 8
    data = [{"type": "heatmap", "x": list(range(len(cols))), "y": list(range(len(rows))), "zmin": 0, "zmax": 1,
             "z": [[(v / top) ** 0.6 for v in r] for r in z],  # the root, or one large cell leaves the others white
             "text": [[(str(v) if narrow else f"{v:,}") if v else "·" for v in r] for r in z], "texttemplate": "%{text}",
             "textfont": {"size": small, "color": INK}, "colorscale": [[i / 9, c] for i, c in enumerate(SEQUENTIAL)],
             "showscale": False, "xgap": 2, "ygap": 2, "hoverinfo": "skip"}]
    notes = []
    for i, (row, change, word) in enumerate(zip(z, changes, moved)):
        notes += [note(f"<b>{sum(row):,}</b>", 1, i, xref="paper", dx=total, anchor="right", color=INK),
                  note(word, 1, i, xref="paper", dx=changed, anchor="right", color=INK if change > 0 else MUTED)]
    notes += [note(words["total"], 1, 1, xref="paper", yref="paper", dx=total, dy=12, anchor="right"),
              note(words["change"], 1, 1, xref="paper", yref="paper", dx=changed, dy=12, anchor="right")]
    return figure(data, high + 27 * len(rows), margin=(left, changed + (2 if narrow else 4), high, 0), notes=notes,
                  x=axis(side="top", tickangle=-90 if narrow else 0, tickvals=list(range(len(cols))), ticktext=list(cols),
                         range=[-0.5, len(cols) - 0.5]),
                  y=axis(tickvals=list(range(len(rows))), ticktext=list(rows), range=[len(rows) - 0.5, -0.5],
                         ticklabelstandoff=6, tickfont={"size": SIZE, "color": INK}))


def limit_strip(days: Sequence[Mapping], marks: Sequence[tuple], words: Mapping, height: int = 128,
                width: int = 1230, places: int = 0) -> dict:
    """The day-by-day trace of a limit, one cell a day, the count inside.

    days: mappings of label (under the cell; "<br>" breaks), kind (NOT_COUNTED, COUNTED, PAST_TARGET, LIMIT, LATE_DAY),
    text (in the cell), hover. marks: (index or middle of a run of days, words, tone "" | "strong" | "late") for
    receipt, make-up days, holidays, target, limit, today. words: empty. width: px it is drawn in, about; marks that
    would run into each other are left out (they are in the hover), the late and strong ones last. places: room for so
    many cells, so that a short last row of several keeps the size of its cells.
    """
    if not days:
        return empty(height, words)
    count, shown = max(len(days), places), len(days)
    colours = [BAND, SOFT, *AMBER, LATE_SOFT]  # pale enough for INK to stay readable in both modes
    scale = [[place / 5, c] for i, c in enumerate(colours) for place in (i, i + 1)]
    data = [{"type": "heatmap", "x": list(range(shown)), "y": [0], "z": [[d["kind"] + 0.5 for d in days]], "zmin": 0,
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
                  x=axis(tickangle=0, tickvals=list(range(shown)), ticktext=[d["label"] for d in days],
                         range=[-0.5, count - 0.5]),
                  y=axis(visible=False))
