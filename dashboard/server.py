"""What `python -m dashboard run` serves: the gate, the way in, and behind them the Streamlit app. Never the app alone: without
the gate nobody is signed in, and every page says so."""
import asyncio
import gc
import logging
import pkgutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from itertools import cycle
from pathlib import Path
from threading import Event, Thread

import streamlit as st
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from streamlit import config

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # streamlit puts dashboard/ on the path, not the root
    sys.path.insert(0, str(ROOT))

from dashboard import compressed, gate, prompter, session, sign_in, words, worker  # noqa: E402
from dashboard.settings import settings  # noqa: E402
from queries import db  # noqa: E402

EVERY = 2           # seconds between two collections of garbage
TURNS = (0,) * 9 + (2,)     # of ten collections one looks at everything that open pages hold; the others at what was made since
WORTH = 20_000      # objects made since the last one below which it is not worth it: nobody clicked
names = gate.names()


def load() -> None:
    """Modules and words, before anybody is answered: two threads that import the same at once may find half a module."""
    for one in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if one.name not in ("app", "server", "__main__"):
            import_module(f"dashboard.{one.name}")
    for one in ("pandas.io.formats.style", "plotly.graph_objs._figure", "plotly.io", "plotly.tools", "pyarrow", "streamlit.elements.plotly_chart", "streamlit.elements.arrow"):
        import_module(one)
    for language in words.LANGUAGES:
        words.catalogue(language)


def warm() -> None:
    """What the first reader would otherwise wait for: connections, compressed scripts."""
    compressed.warm()
    try:
        for url in session.urls().values():
            with db.engine(url).connect():
                pass
    except OperationalError:        # pages say so, and come back by themselves
        logging.getLogger(__name__).warning("The database does not answer yet.")


def collect(stop: Event) -> None:
    """Garbage is collected beside the readers' runs, not in the middle of one (see runner.postScriptGC); what is loaded by now stays,
    and the collector need not walk through it."""
    warm()
    gc.collect()
    gc.freeze()
    gc.disable()
    turns = cycle(TURNS)
    while not stop.wait(EVERY):
        if gc.get_count()[0] > WORTH:
            gc.collect(next(turns))


@asynccontextmanager
async def starting(app: st.App) -> AsyncIterator[None]:
    config.set_option("server.trustedUserHeaders", names)  # here: Streamlit reads its settings anew after it has found `app`
    await run_in_threadpool(load)
    stop = Event()
    collector = Thread(target=collect, args=(stop,), name="collector", daemon=True)
    collector.start()
    folder = Thread(target=worker.fold, args=(session.urls()["desk_app"], stop), name="folder", daemon=True)
    folder.start()
    live = import_module("dashboard.live")
    prompting = asyncio.create_task(prompter.prompt(live.LOOK * settings().follow, live.latest, live.shown, live.pass_on)) if settings().follow else None
    yield
    if prompting:
        prompting.cancel()
    stop.set()
    collector.join(EVERY)
    folder.join(EVERY)
    gc.enable()


app = st.App(Path(__file__).with_name("app.py"), routes=sign_in.ROUTES, lifespan=starting,
             middleware=[Middleware(gate.Gate, urls=session.urls, hosts=settings().hosts, names=names, proxy=settings().proxy), Middleware(compressed.Compressed)])
