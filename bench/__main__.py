"""`python -m bench`: what `make bench` runs."""

from __future__ import annotations

import argparse
import sys
import time

from bench import contest, growth, one_day, page, profile, results, scoring
from bench.places import Places
from bench.sizes import SIZES, Size
from ml.errors import HoldfastError

STARTED = time.monotonic()


def say(message: str) -> None:
    """Print what is being done, with the minutes since the start."""
    print(f"[{(time.monotonic() - STARTED) / 60:5.1f} min] {message}", flush=True)


def run_contest(size: Size, only: list[str]) -> None:
    """Compare, write the result, and print it."""
    for found in contest.contest(Places.of(size), size, only, say):
        path = results.write("contest", size.name, command_of(size, "contest"), found)
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


def run_profile(size: Size, only: list[str]) -> None:
    """Look into Holdfast's SQL, on the inputs that the comparison made."""
    found = profile.profile(Places.of(size))
    print(results.write("profile", size.name, command_of(size, "profile"), found))


def run_growth(size: Size, only: list[str]) -> None:
    """Build several sizes and write what each took."""
    for found in growth.growth(Places.of(size), size, only, say):
        path = results.write("growth", size.name, command_of(size, "growth"), found)
    print(path)


def run_day(size: Size, only: list[str]) -> None:
    """Build with one more day and write what it took."""
    found = one_day.one_more_day(Places.of(size), size, say)
    print(results.write("day", size.name, command_of(size, "day"), found))


def run_scoring(size: Size, only: list[str]) -> None:
    """Train and score, and write what it took."""
    found = scoring.scoring(Places.of(size), size, say)
    print(results.write("scoring", size.name, command_of(size, "scoring"), found))


def run_page(size: Size, only: list[str]) -> None:
    """Write docs/benchmarks.md from the results; the small form tries the code, not the speed."""
    print(page.write(size.name))


def command_of(size: Size, part: str) -> str:
    """Return the command that makes a result anew."""
    return f"make bench SIZE={size.name} PART={part}"


PARTS = {
    "contest": run_contest,
    "profile": run_profile,
    "scoring": run_scoring,
    "day": run_day,
    "growth": run_growth,
    "page": run_page,
}


def main() -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
    parser.add_argument(
        "--only",
        nargs="*",
        default=[],
        help="contenders, or customers of the part growth; all if none is named",
    )
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
