"""Charts go to the browser without plotly looking at each property again (``links.Drawn``): so it looks here."""
import json

import plotly.graph_objects as go
import pytest
from plotly.io import templates

from dashboard import charts, links
from tests.pages.test_statements import office, opened  # noqa: F401


@pytest.mark.parametrize("page, asked", [("review", {"notes": "true"}), ("limits", {}), ("overdue", {}), ("satisfaction", {})])
def test_every_chart_of_a_page_is_one_that_plotly_takes(office, page, asked):  # noqa: F811
    at = opened(office, page, asked).run()
    drawn = [json.loads(one.proto.spec) for one in at.get("plotly_chart")]
    assert not at.exception and drawn
    for one in drawn:
        go.Figure(one)


def test_a_chart_that_plotly_would_refuse_is_refused_here():
    with pytest.raises(ValueError):
        go.Figure(charts.figure([{"type": "scatter", "mode": "dots"}], 100))


def test_a_chart_goes_out_as_plotly_would_send_it():
    figure = charts.clickable(charts.figure([{"type": "scatter", "mode": "markers", "x": [1, 2], "y": [1.5, None]}, {"type": "bar", "x": [1], "y": [2]}], 100))
    plain, sent = go.Figure(figure).to_dict(), links.Drawn(figure).to_dict()
    plain["layout"].pop("template")
    template = sent["layout"].pop("template")
    assert template["layout"] == templates["streamlit"].to_plotly_json()["layout"]
    assert template["data"].get("scatter") == templates["streamlit"].to_plotly_json()["data"].get("scatter") is not None
    assert plain["data"] == sent["data"] and plain["layout"] == {name: one for name, one in sent["layout"].items() if one != []}
    assert "template" not in figure["layout"] or figure["layout"]["template"] == {"layout": {}, "data": {}}, "the figure itself is left as it was"


def test_the_chart_of_a_unit_among_its_peers_is_one_too():
    row = {"label": "x", "values": [90.0, 95.0, 99.0], "keys": [1, 2, 3], "own": 2, "flip": False, "group": 94.0, "text": "95%", "ends": ["90%", "99%"], "hover": ["a", "b", "c"]}
    go.Figure(links.Drawn(charts.positions([row], {"empty": "", "group": "g", "worse": "w", "better": "b"})).to_dict())


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("most", [7, 412, 8_400, 98_400])
def test_large_numbers_of_the_heat_strip_stand_beside_each_other(narrow, most):
    """Totals, changes and cells of a bank of millions: none runs into the next, and small ones stand where they stood."""
    made = charts.heat_strip(["服务产品", "服务渠道"], list("一二三四五六七八"), [[most // 2] * 2 + [3] * 6, [0] * 8], [most - 1, -most], {"total": "合计", "change": "较上期", "empty": ""}, narrow=narrow)
    notes = made["layout"]["annotations"]
    (total, moved), size = [(note["text"], note["xshift"]) for note in notes[:2]], made["data"][0]["textfont"]["size"]
    assert total[1] + charts._px(moved[0]) < moved[1] <= made["layout"]["margin"]["r"] and charts._px(total[0]) < total[1]
    if narrow:
        cell = (358 - made["layout"]["margin"]["l"] - made["layout"]["margin"]["r"]) / 8
        assert len(made["data"][0]["text"][0][0]) * size * 0.56 < cell, (cell, size)
    if most < 1000:
        assert (total[1], moved[1], size) == ((30, 66, 12) if narrow else (42, 88, 12))
