"""Every page that is run here has a real session row behind it, as the gate would have made it: of the demo's supervisor,
who may choose another of the demo's accounts by ``as`` in the address."""
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import session
from queries import accounts


def session_of(login: str, how: str = "demo") -> dict[str, str]:
    """What the gate hands on for a new session of this account, as AppTest.user."""
    urls = session.urls()
    found = accounts.find(urls, accounts.begin(urls, accounts.demo(urls, login), how, "127.0.0.1"))
    return {session.LOGIN: found.login, session.SESSION: str(found.session_id)}


@pytest.fixture(scope="module", autouse=True)      # by the module: tests elsewhere run their pages as they are
def signed_in():
    st.cache_data.clear()           # another file read another bank, perhaps at the same tick
    st.cache_resource.clear()
    plain = AppTest.from_file

    def from_file(*args, **how):
        at = plain(*args, **how)
        at.user = session_of("demo-supervisor")
        return at

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AppTest, "from_file", from_file)
        yield
