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
