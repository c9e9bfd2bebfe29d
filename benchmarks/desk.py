"""What all parts share: the bench database's logins, how results are kept, a table on the terminal."""
import json
import os
import platform
import statistics
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from queries import schema

RESULTS = Path(__file__).parent / "results"


def logins(url: str, folder: Path) -> dict[str, str]:
    """{login: URL} of the application on the bench database; "admin" is the administrator's."""
    return schema.login_urls(url, folder) | {"admin": url}


def administrator(url: str, **options):
    """An engine for the administrator (passes row security), schema desk."""
    return create_engine(url, poolclass=NullPool, connect_args={"options": "-c search_path=desk,public -c jit=off -c timezone=UTC"}, **options)


def one(url: str, statement: str, **params):
    """The first value of a statement, as the administrator."""
    with administrator(url).begin() as conn:
        return conn.execute(text(statement), params).scalar()


def environment(url: str, folder: Path) -> None:
    """The application of this process works on the bench database."""
    os.environ["DATABASE_URL"] = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    os.environ["DASHBOARD_DATA"] = str(folder)


def summary(values: list[float]) -> dict[str, float]:
    """n, p50, p95 and the largest."""
    values = sorted(values)
    return {"n": len(values), "p50": round(statistics.median(values), 1), "p95": round(values[min(len(values) - 1, int(0.95 * len(values)))], 1), "max": round(values[-1], 1)}


def keep(name: str, result: dict) -> None:
    """Writes results/NAME.json, with the machine it was measured on."""
    RESULTS.mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2 ** 30), "python": platform.python_version()}
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": machine, **result}, indent=1, ensure_ascii=False, default=str) + "\n", "utf-8")


def table(head: list[str], rows: list[list]) -> None:
    """Prints rows under a head; numbers stand right."""
    cells = [head, *[[f"{v:,.1f}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else str(v) for v in row] for row in rows]]
    wide = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for number, row in enumerate(cells):
        print("  ".join(cell.ljust(wide[i]) if i == 0 or number and not rows or isinstance((rows[number - 1] if number else rows[0])[i], str) else cell.rjust(wide[i]) for i, cell in enumerate(row)))
