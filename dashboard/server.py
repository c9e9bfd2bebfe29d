"""What `python -m dashboard run` serves: the gate, the way in, and behind them the Streamlit app. Never the app alone: without
the gate nobody is signed in, and every page says so."""
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit import config

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # streamlit puts dashboard/ on the path, not the root
    sys.path.insert(0, str(ROOT))

from dashboard import gate, sign_in  # noqa: E402
from dashboard.session import urls  # noqa: E402
from dashboard.settings import settings  # noqa: E402

names = gate.names()


@asynccontextmanager
async def starting(app: st.App) -> AsyncIterator[None]:
    config.set_option("server.trustedUserHeaders", names)  # here: Streamlit reads its settings anew after it has found `app`
    yield


app = st.App(Path(__file__).with_name("app.py"), routes=sign_in.ROUTES, lifespan=starting,
             middleware=[Middleware(gate.Gate, urls=urls, hosts=settings().hosts, names=names, proxy=settings().proxy)])
