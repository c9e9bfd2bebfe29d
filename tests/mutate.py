"""Takes away one protection at a time and runs the test that must then fail: `python -m tests.mutate [part of a name]`. The list is mutations.toml.

Each job has a server of its own for all its mutants (TEST_SERVER in tests/conftest.py). What a database is made from decides the name of the
template it is cloned from, so a mutant of the schema is migrated anew and any other finds the template ready.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Queue

from queries import embedded

ROOT = Path(__file__).resolve().parents[1]
JOBS = int(os.environ.get("MUTATE_JOBS", "2"))


def main(wanted: str = "") -> int:
    """0 where every test failed without its protection, else 1."""
    mutations = [one for one in tomllib.loads(Path(__file__).with_name("mutations.toml").read_text("utf-8"))["mutation"] if wanted in one["protects"]]
    with ExitStack() as last:
        folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        last.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)
        clean, servers = _checkout(folder / "clean"), Queue()
        for job in range(min(JOBS, len(mutations))):
            last.callback(embedded.stop, folder / f"server-{job}")
            servers.put(embedded.start(folder / f"server-{job}", binaries=os.environ.get("TEST_PG_BIN"), durable=False))
        with ThreadPoolExecutor(JOBS) as pool:
            alive = [said for said in pool.map(lambda one: _survives(one, clean, servers), mutations) if said]
    print(f"{len(mutations) - len(alive)} of {len(mutations)} protections are missed by their tests when they are gone.")
    return 1 if alive or not mutations else 0


def _checkout(clean: Path) -> Path:
    """What a mutant is made from: everything that git knows or would, without documents."""
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, files):
        if (not name.startswith("docs/") or name.startswith("docs/mappings/")) and (ROOT / name).is_file():
            (clean / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clean / name)
    return clean


def _survives(one: dict, clean: Path, servers: Queue) -> str:
    """Nothing where the test failed as it should, else what went wrong."""
    server, folder = servers.get(), Path(tempfile.mkdtemp(prefix="mutant-", dir=clean.parent))
    try:
        shutil.copytree(clean, folder, dirs_exist_ok=True)
        source = (folder / one["file"]).read_text("utf-8")
        if source.count(one["old"]) != 1:
            return _say("STALE", one, f"{source.count(one['old'])} places in {one['file']}")
        (folder / one["file"]).write_text(source.replace(one["old"], one["new"]), "utf-8")
        ran = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *one["test"].split()], cwd=folder,
                             env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "TEST_SERVER": server}, capture_output=True, text=True, timeout=280)
        last = (ran.stdout.strip().splitlines() or [""])[-1]
        if ran.returncode == 1 and " failed" in last:
            return _say("", one, last)
        return _say("ALIVE" if ran.returncode == 0 else "BROKEN", one, last or ran.stderr[-300:])
    finally:
        servers.put(server)
        shutil.rmtree(folder, ignore_errors=True)


def _say(what: str, one: dict, more: str) -> str:
    print(f"{what or 'caught':<7} {one['protects']}: {more}", flush=True)
    return what


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
