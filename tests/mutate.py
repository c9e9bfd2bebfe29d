"""Takes away one protection at a time and runs the test that must then fail: `python -m tests.mutate [part of a name]`. The list is mutations.toml."""
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(wanted: str = "") -> int:
    """0 where every test failed without its protection, else 1."""
    mutations = [one for one in tomllib.loads(Path(__file__).with_name("mutations.toml").read_text("utf-8"))["mutation"] if wanted in one["protects"]]
    with ThreadPoolExecutor(int(os.environ.get("MUTATE_JOBS", "2"))) as pool:
        alive = [said for said in pool.map(_survives, mutations) if said]
    print(f"{len(mutations) - len(alive)} of {len(mutations)} protections are missed by their tests when they are gone.")
    return 1 if alive or not mutations else 0


def _survives(one: dict) -> str:
    """Nothing where the test failed as it should, else what went wrong."""
    folder = Path(tempfile.mkdtemp(prefix="mutant-"))
    try:
        folder.chmod(0o711)
        files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
        for name in filter(None, files):
            if not name.startswith("docs/pictures/") and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        source = (folder / one["file"]).read_text("utf-8")
        if source.count(one["old"]) != 1:
            return _say("STALE", one, f"{source.count(one['old'])} places in {one['file']}")
        (folder / one["file"]).write_text(source.replace(one["old"], one["new"]), "utf-8")
        ran = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *one["test"].split()], cwd=folder,
                             env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, timeout=280)
        last = (ran.stdout.strip().splitlines() or [""])[-1]
        if ran.returncode == 1 and " failed" in last:
            return _say("", one, last)
        return _say("ALIVE" if ran.returncode == 0 else "BROKEN", one, last or ran.stderr[-300:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(what: str, one: dict, more: str) -> str:
    print(f"{what or 'caught':<7} {one['protects']}: {more}", flush=True)
    return what


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
