"""What is drawn once and sent again: the same elements, for the same scope and tick only, and nothing that a session must know of."""
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import review, still
from tests.pages.test_every_number_opens_its_list import office, run  # noqa: F401


def shown(at) -> list[str]:
    return [one.value for one in at.markdown] + [f"{one.label} {one.value}" for one in at.metric]


@pytest.fixture
def drawn(office, monkeypatch):  # noqa: F811
    """How often the figures of a review were worked out."""
    plain, times = review.headline, []
    monkeypatch.setattr(review, "headline", lambda *args: times.append(1) or plain(*args))
    st.cache_resource.clear()
    return times


def test_the_second_reader_of_a_scope_gets_what_the_first_drew(drawn):
    at = run("review", {"as": "demo-leader", "lang": "zh"})
    for _ in range(3):
        tick, before, once = at.session_state["tick"], shown(at), len(drawn)
        at.run()
        if at.session_state["tick"] == tick:           # else a minute ended between the two
            break
    assert at.session_state["tick"] == tick and len(drawn) == once and shown(at) == before and len(before) > 20


def test_another_scope_or_language_has_its_own(drawn):
    head, branch, english = (shown(run("review", {"as": login, "lang": lang})) for login, lang in (("demo-leader", "zh"), ("demo-ningbo", "zh"), ("demo-leader", "en")))
    assert len(drawn) == 3 and head != branch and head != english


def _script(kind):
    import streamlit as st

    from dashboard import data, still

    def part():
        st.markdown("一")
        with st.container():
            {"widget": lambda: st.button("二"), "chart": lambda: st.plotly_chart({"data": [{"type": "bar", "x": [1], "y": [2]}]}, on_select="rerun", key="c"), "plain": lambda: st.markdown("三")}[kind]()
        return 7
    data.derived = lambda make, *given, key=(), **how: make(*given)
    try:
        st.markdown(f"{still.draw(part, 'x')}")
    except TypeError as error:
        st.markdown(str(error))


@pytest.mark.parametrize("kind", ["widget", "chart"])
def test_what_can_be_clicked_is_refused(kind, monkeypatch):
    monkeypatch.setattr(still.data, "derived", still.data.derived)          # put back afterwards
    at = AppTest.from_function(_script, kwargs={"kind": kind}).run()
    assert not at.exception and not at.button and [one.value for one in at.markdown] == [f"{'button' if kind == 'widget' else 'a chart that can be clicked'} cannot be sent again"]


def test_it_stands_where_it_was_drawn_and_says_what_it_returns(monkeypatch):
    monkeypatch.setattr(still.data, "derived", still.data.derived)
    at = AppTest.from_function(_script, kwargs={"kind": "plain"}).run()
    assert not at.exception and [one.value for one in at.markdown] == ["一", "三", "7"]
