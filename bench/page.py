"""docs/benchmarks.md and its pictures, made from the results that lie in bench/results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import pictures, results
from bench.places import DOCS, ROOT

Result = Mapping[str, Any]


def write(size: str) -> Path:
    """Write the page of a size, from whatever results there are, and return where it lies."""
    found = {kind: results.read(kind, size) for kind in _SECTIONS}
    parts = [_TOP]
    for kind, section in _SECTIONS.items():
        result = found[kind]
        if result is not None:
            parts += [section(result), _where(result)]
        if kind == "contest" and result is not None:
            parts += _others(result, results.read("contest", "small"))
    path = DOCS / "benchmarks.md"
    path.write_text("\n\n".join(part.strip() for part in parts) + "\n")
    return path


# What was looked into on the full form, on the day that the text names.
_FLOOR = """
For comparison, whole processes of DuckDB on the same files (2026-11-29, best of three): 0.35 s to
start and read every column wanted, 0.86 s with one sum of each measure by customer and fortnight.
Polars is given prefix sums and an ASOF join for each edge of a window, the faster of two forms that
were tried."""


def _contest(result: Result) -> str:
    by_name = {one["name"]: one for one in result["contenders"]}
    whole, sampled = result["rows"], result["sampled_rows"]
    ratio_rows = []
    for one in result["ratios"]:
        if one["base"] == "holdfast":
            title = f"{by_name[one['name']]['title']} / Holdfast's SQL"
            bound = "" if one["mark"] is None else f"at least {one['mark']:g}"
        else:
            title = "Holdfast's SQL / the limit"
            bound = f"at most {one['mark']:g}"
        met = {None: "", True: "reached", False: "not reached"}[one["is_met"]]
        ratio_rows.append([title, _times(one["wall"]), _times(one["cpu"]), bound, met])
    time_rows = [
        [
            one["title"],
            _spread(one["wall"], "{:.1f}"),
            _spread(one["cpu"], "{:.1f}"),
            _spread(one["peak_mb"], "{:,.0f}"),
            f"{one['observations']:,}",
            ", ".join(one["versions"]),
        ]
        for one in result["contenders"]
        if one["wall"]
    ]
    problems = [
        f"- {one['title']}: {one['problem']}" for one in result["contenders"] if one["problem"]
    ]
    cells = by_name["holdfast"]["agreement"]
    drawn = pictures.contest(result, DOCS / "benchmarks_contest.png")
    missed = out_of_reach(result)
    return f"""## Beside other ways to make the same features

{whole["activity"]:,} rows of the ledger (customer, day, known day), {whole["observations"]:,}
observations at monthly as-of dates. Wanted for each: four sums (actions, logins, feature uses,
minutes) and active days over 7, 14, 30, 60 and 90 days, and the last active day, of what was known
before the as-of date. Everyone reads the same two Parquet files and writes one. Before anything is
timed, every cell of every result is compared with the limit's: {cells["cells"]:,} cells for
Holdfast, {cells["different"]} differ. Each run is a whole process; everyone runs once a round, who
is slow only once and right after a run of Holdfast's, and ratios are taken inside a round. Given
are the median and, in brackets, the least and the most.

![How many times as long as Holdfast's SQL each one takes]({drawn.name})

{
        _table(
            ["ratio", "time by the clock", "processor time", "mark", "by the clock"],
            ratio_rows,
        )
    }

{chr(10).join(["Marks that were not reached:", "", *missed]) if missed else ""}
{_FLOOR if missed and result["size"] == "full" else ""}

featuretools works on {sampled["observations"]:,} observations; its ratio is a row's. The limit is
no tool: it is what a compiled loop needs that knows this one task. Holdfast's SQL is the model
`gold_activity_windows` as dbt compiles it for these windows; it also makes the windows of 21 and
28 days, the cohort's own window, and the last login and use of a feature. `dbt build` is the same
model with the ten windows of the project, written to the warehouse and tested, dbt's own start
included.

{
        _table(
            [
                "whole process",
                "seconds",
                "processor seconds",
                "peak memory, MB",
                "rows out",
                "versions",
            ],
            time_rows,
        )
    }

{chr(10).join(["Without figures:", "", *problems]) if problems else ""}"""


def _others(result: Result, small: Result | None) -> list[str]:
    """Return a section on those who have figures in the small form alone."""
    timed = {one["name"] for one in result["ratios"]}
    if small is None:
        return []
    titles = {one["name"]: one["title"] for one in small["contenders"]}
    found = [
        [
            f"{titles[one['name']]} / Holdfast's SQL",
            _times(one["wall"]),
            _times(one["cpu"]),
            "" if one["mark"] is None else f"at least {one['mark']:g}",
            {None: "", True: "reached", False: "not reached"}[one["is_met"]],
        ]
        for one in small["ratios"]
        if one["base"] == "holdfast" and one["name"] not in timed
    ]
    if not found:
        return []
    heads = ["ratio", "time by the clock", "processor time", "mark", "by the clock"]
    text = f"""### Those measured in the small form alone

The same work for 2,000 customers ({small["rows"]["activity"]:,} rows of the ledger,
{small["rows"]["observations"]:,} observations; featuretools {
        small["sampled_rows"]["observations"]:,} of them), everyone's cells equal to the limit's. A
tool's own start weighs more here than in the full form.

{_table(heads, found)}"""
    return [text, _where(small)]


def out_of_reach(result: Result) -> list[str]:
    """Return a sentence for each mark that was not reached, with what would reach it."""
    by_name = {one["name"]: one for one in result["contenders"]}
    limit = by_name["limit"]
    taken = by_name["holdfast"]["wall"]["median"] / limit["wall"]["median"]
    found = []
    for one in result["ratios"]:
        if one["is_met"] is not False or one["base"] != "holdfast":
            continue
        peer = by_name[one["name"]]
        scale = limit["observations"] / peer["observations"]
        clock = scale * peer["wall"]["median"] / limit["wall"]["median"]
        found.append(
            f"- {peer['title']}: it takes {clock:.2f} times the limit's time. To be "
            f"{one['mark']:g} times as fast as it, Holdfast would have to take "
            f"{clock / one['mark']:.2f} times the limit's; it takes {taken:.2f}."
        )
    return found


def _profile(result: Result) -> str:
    rows = [
        [one["operator"], f"{one['share']:.1%}", f"{one['rows']:,}", one["on"][:110]]
        for one in result["operators"]
    ]
    return f"""### Where the time of Holdfast's SQL goes

DuckDB's own account of the model, its longest operators.

{_table(["operator", "share", "rows out", "on"], rows)}"""


_TRAINING = """

Where training's time goes, by samples of its main thread twenty milliseconds apart (2026-11-29, a
run of 64 s while it was looked at): 19.0 s in LightGBM's trees (four fits of some 450,000 rows on
two threads: a fold for each of three dates, and the model that is kept), 3.3 in encoding the rows
for them, 8.6 in importing libraries (MLflow 2.4, Great Expectations 1.9), 8.3 in figures with
their intervals, 7.4 in the gates (5.1 of it the probes, which read the set again), 3.7 in freezing
the set and 2.2 in reading it, 2.4 in the card. Done since the first measurement (198 s of processor
time): histograms by columns, one booster in place of three beyond 200,000 rows, bootstrap figures
from the churners' rows and one ranking on all processors, a digest of texts that makes no objects
of them. Tried and left: quantised gradients, a tenth less time in trees that are other trees."""


def _scoring(result: Result) -> str:
    train, score = result["train"], result["score"]
    seconds, memory = result["seconds_mark"], result["memory_mark_mb"]
    rows = [
        [
            f"`holdfast train --families lightgbm` on {result['trained_rows']:,} labelled rows",
            f"{train['wall'] / seconds:.2f}",
            f"{train['wall']:.1f}",
            f"{train['cpu']:.1f}",
            f"{train['peak_mb']:,.0f}",
        ],
        [
            f"`holdfast score` on {result['scored_rows']:,} observations, "
            f"{result['reasons']:,} reasons in words",
            _times(score["wall"], 1 / seconds),
            _spread(score["wall"], "{:.1f}"),
            _spread(score["cpu"], "{:.1f}"),
            _spread(score["peak_mb"], "{:,.0f}"),
        ],
    ]
    heads = [
        "whole process",
        f"of {seconds} s",
        "seconds",
        "processor seconds",
        "peak memory, MB",
    ]
    return f"""## Training and scoring

Gold rows of the same company. For training, customers are repeated under other ids; for scoring,
every observation of every date is a customer of its own, so that rows are as diverse as two years.
The marks: {seconds} s each, scoring within {memory:,} MB (the engine's own limit is that of a
machine of 2 GB).

{_table(heads, rows)}{_TRAINING if result["size"] == "full" else ""}"""


_DAY = """

What stands in the way: each of some fifty models asks what is missing, opens and commits, which is
most of what a build with nothing new takes; and of what a day does, little shrinks with it. The
digests of all raw rows are taken anew, for a row may have changed anywhere; the windows of the one
newest date reach back 730 days for the last activity, which is all of 24 months; first logins and
repeats are looked up among all keys, of which 48 months have 1.8 times as many. Models that wait
for each other count twice. Named dates in place of a join keep features from reading the windows of
all dates, which took 3.4 of 24.9 s on 48 months."""


def _day(result: Result) -> str:
    rows = []
    for one in result["histories"]:
        builds = one["builds"]
        for build in builds:
            rows.append(
                [
                    f"{one['months']} months: {build['what']}",
                    f"{build['model_seconds'] / builds[0]['model_seconds']:.3f}",
                    f"{build['model_seconds']:.1f}",
                    f"{build['seconds']:.1f}",
                ]
            )
    factors = ", ".join(
        f"{one['full_over_day']:.1f} at {one['months']} months" for one in result["histories"]
    )
    longest = [
        [f"{one['months']} months", name, f"{seconds:.2f}"]
        for one in result["histories"]
        for name, seconds in list(one["builds"][1]["by_model"].items())[:6]
    ]
    heads = ["build", "share of the full build's model time", "model seconds", "seconds in all"]
    below = min(result["full_over_day"]) < result["mark"]
    return f"""## One more day

{result["customers"]:,} customers. A full build of what was known before the last days, then the
same build after each day's rows were laid beside the others, as files of their own. Model time is
the sum of dbt's execution times of models, without tests and dbt's own start. Full over one day:
{factors} (mark: at least {result["mark"]}). A day on 48 months of history over a day on 24:
{result["longer_over_shorter"]:.2f} (mark: at most 1).

{_table(heads, rows)}

The longest models of the first added day:

{_table(["history", "model", "seconds"], longest)}{_DAY if below else ""}"""


def _growth(result: Result) -> str:
    rows = [
        [
            f"{one['customers']:,}",
            f"{one['rows']:,}",
            f"{1e6 * one['build']['cpu'] / one['rows']:.1f}",
            f"{1e6 * one['model_seconds'] / one['rows']:.2f}",
            f"{one['build']['wall']:.0f}",
            f"{one['build']['cpu']:.0f}",
            f"{one['build']['peak_mb']:,.0f}",
        ]
        for one in result["steps"]
    ]
    heads = [
        "customers",
        "raw rows",
        "processor µs a row",
        "the model alone, µs a row",
        "seconds",
        "processor seconds",
        "peak memory, MB",
    ]
    slopes = ", ".join(
        f"{name.removeprefix('slope_')} {value:.2f}"
        for name, value in result.items()
        if name.startswith("slope_")
    )
    problems = "".join(
        f"\n\n{int(customers):,} customers could not be built: `{told.strip()}`"
        for customers, told in result["problems"].items()
    )
    drawn = pictures.growth(result, DOCS / "benchmarks_growth.png")
    return f"""## Growth

From raw files to `gold_activity_windows` and all that it needs, {result["steps"][0]["months"]}
months, DuckDB's memory limited to {result["memory_limit"]} at every size; where that is too little
for the model at once, it is built in parts of customers. A company of more than 50,000 customers is
one of 50,000 over and over, under other ids. Slopes (1: twice the rows, twice
the cost) from the first size of 50,000 or more to the last: {slopes or "-"} (mark: below
{result["mark"]}).

![Cost a row and peak memory by size]({drawn.name})

{_table(heads, rows)}{problems}"""


def _where(result: Result) -> str:
    machine = result["machine"]
    # With more at work than there are cores, the clock measures the neighbours.
    busy = (
        " The machine was busy, so read processor time; the clock's figures are mostly waiting."
        if machine["load_at_start"] > machine["cores"] + 1
        else ""
    )
    note = f" {result['note']}" if "note" in result else ""
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    return (
        f"`{result['command']}`, measured on {result['measured_at']}: {machine['cores']} cores "
        f"({machine['processor']}) shared with other work (load {machine['load_at_start']:.1f} "
        f"when the result was written), {machine['memory_gb']} GB, {machine['system']}, Python "
        f"{machine['python']}; {versions}.{busy}{note}"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _spread(one: Mapping[str, float], form: str) -> str:
    middle = form.format(one["median"])
    if one["least"] == one["most"]:
        return middle
    return f"{middle} [{form.format(one['least'])}, {form.format(one['most'])}]"


def _times(one: Mapping[str, float], scale: float = 1.0) -> str:
    return _spread({name: scale * value for name, value in one.items()}, "{:.2f}")


_SECTIONS = {
    "contest": _contest,
    "profile": _profile,
    "scoring": _scoring,
    "day": _day,
    "growth": _growth,
}

_TOP = f"""# Benchmarks

What Holdfast costs beside other ways to do the same, and how that grows. Everything here is made by
`make bench` (hours) or `make bench SIZE=small` (minutes), one part by `PART=contest`, `scoring`,
`day` or `growth`; this page is written from the files in
[bench/results]({(Path("..") / (results.RESULTS.relative_to(ROOT))).as_posix()}) by `PART=page`.
Ratios come first: absolute times are those of one machine, shared with other work."""
