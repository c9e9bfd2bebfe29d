"""`make bench`: the whole of it, part after part, each with its share of the time; prints the tables and writes results/*.json.

    python -m benchmarks [--size 500k|5m] [--data .data-bench] [--only PART]

The parts are listed here and nowhere else: one that is missing or fails makes the run fail. The bank of the size asked for is made first and kept.
"""
import argparse
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from benchmarks import desk
from benchmarks.generate import SIZES, ready

SMALL, LARGE = "500k", "5m"
# Seconds of each part: what it may use for measuring (pages, writers) or about takes (the others). In all, with the bank made anew: under 3 and under 15 minutes on two cores.
SHARES = {SMALL: {"pages": 45, "duck": 15, "writers": 20, "row_security": 20, "viewers": 35},
          LARGE: {"pages": 170, "duck": 110, "writers": 80, "row_security": 60, "viewers": 180}}


def command(part: str, size: str, url: str, data: Path) -> list[str]:
    """What is run of a part: a process of its own, so that none sees what another left in memory."""
    seconds, at = SHARES[size][part], ["--url", url, "--data", str(data)]
    return ["-m", f"benchmarks.{part}", *{
        "pages": [*at, "--seconds", str(seconds), "--runs", "7", "--filters", "100"],
        "duck": [*at, "--runs", "3" if size == SMALL else "2"],
        "writers": [*at, "--seconds", str(1 if size == SMALL else 4), "--rows", "50000" if size == SMALL else "1000000"],
        "row_security": ["--rows", "200000" if size == SMALL else "1000000"],
        # the part `fresh` writes into the bank: python -m benchmarks.viewers, on a bank of its own
        "viewers": [*at, "--short", "--seconds", "10", "--only", "pages", "--only", "many", *(() if size == SMALL else ("--only", "nginx", "--only", "memory", "--only", "browser"))],
    }[part]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures the desk on a bank of its own.")
    parser.add_argument("--size", choices=SHARES, default=SMALL)
    parser.add_argument("--data", type=Path, default=Path(".data-bench"), help="folder of the bench's own embedded server, kept between runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=SHARES[SMALL], action="append", help="this part alone (may be given again)")
    options = parser.parse_args()
    data, began, took, failed = options.data.absolute(), perf_counter(), [], []
    url = ready(data, SIZES[options.size], options.seed)
    took.append(["bank", perf_counter() - began, "ready"])
    for part in options.only or SHARES[options.size]:
        print(f"\n== {part}", flush=True)
        started = perf_counter()
        code = subprocess.run([sys.executable, *command(part, options.size, url, data)], cwd=Path(__file__).parents[1]).returncode
        took.append([part, perf_counter() - started, f"failed ({code})" if code else "done"])
        failed += [part] * bool(code)
    print()
    desk.table(["part", "seconds", "end"], [*took, ["in all", perf_counter() - began, f"failed: {', '.join(failed)}" if failed else "done"]])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
