"""`python -m bench`: what `make bench` runs."""

from __future__ import annotations

import argparse
import sys
import time

from bench import contest, results
from bench.places import Places
from bench.sizes import SIZES, Size
from ml.errors import HoldfastError

STARTED = time.monotonic()


def say(message: str) -> None:
    """Print what is being done, with the minutes since the start."""
    print(f"[{(time.monotonic() - STARTED) / 60:5.1f} min] {message}", flush=True)


def run_contest(size: Size, only: list[str]) -> None:
    """Compare, write the result, and print it."""
    found = contest.contest(Places.of(size), size, only, say)
    path = results.write("contest", size.name, f"make bench SIZE={size.name} PART=contest", found)
    for one in found["ratios"]:
        mark = "" if one["mark"] is None else f"  (mark {one['mark']}, met: {one['is_met']})"
        wall, cpu = one["wall"], one["cpu"]
        print(
            f"{one['name']:>14} / {one['base']:<8} {wall['median']:8.2f} times the time "
            f"[{wall['least']:.2f}, {wall['most']:.2f}], {cpu['median']:.2f} times the "
            f"processor time{mark}"
        )
    for one in found["contenders"]:
        if one["problem"]:
            print(f"{one['name']:>14}: {one['problem']}")
    print(path)


PARTS = {"contest": run_contest}


def main() -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--only", nargs="*", default=[], help="contenders; all if none is named")
    arguments = parser.parse_args()
    try:
        for name, part in PARTS.items():
            if arguments.part in (name, "all"):
                part(SIZES[arguments.size], arguments.only)
    except HoldfastError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
