"""Kill runs at random moments, and hold what comes of it against a run that nobody disturbed.

A company comes twice: first what was known until some months before the end, then all of it,
so that the second runs have a champion, predictions and published marts to spoil. Each time
several runs are killed, one after the other, each going on from where the last was cut off; then
one is let through, and everything that it leaves is compared.

    .venv/bin/python bench/load/kills.py --kills 60 --seed 1
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "python"))

from under_load import Company, differences, moments  # noqa: E402

CHAPTERS = (datetime(2025, 1, 5), None)
KILLS_A_CHAPTER = 5


def main() -> int:
    """Kill, compare, report; the exit code says whether anything differed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "kills.json"
    )
    options = parser.parse_args()
    chance = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="holdfast-kills-"))
    whole = Company.made(folder / "whole")
    # Every company lies in one place in turn, so that dbt need not parse the project anew for each.
    place, parsed = folder / "company", folder / "parsed"
    company = whole.copy(place, until=CHAPTERS[0])
    told = []
    for until in CHAPTERS:
        company.take(whole.local / "raw", until=until)
        ended = company.run("run")
        if ended.exit_code:
            raise SystemExit(f"The undisturbed run failed: {ended.output}")
        told.append((ended, company.outcome()))
    shutil.copytree(place / "target", parsed)
    print("undisturbed:", *(f"{ended.seconds:.1f} s" for ended, _ in told), flush=True)
    kills: list[dict[str, object]] = []
    problems: list[dict[str, object]] = []
    companies = compared = 0
    while len(kills) < options.kills:
        companies += 1
        shutil.rmtree(place)
        company = whole.copy(place, until=CHAPTERS[0])
        shutil.copytree(parsed, place / "target")
        for number, (until, (reference, outcome)) in enumerate(zip(CHAPTERS, told, strict=True)):
            company.take(whole.local / "raw", until=until)
            chapter = {"company": companies, "chapter": number + 1}
            # In the order of the work, for what is done is not done again.
            for moment in moments(reference.events, chance, KILLS_A_CHAPTER):
                ended = company.run("run", kill_at=moment)
                step = ended.events[-1].step if ended.events else ""
                where = {**chapter, "step": step, **vars(moment)}
                print(ended.exit_code, f"{ended.seconds:.1f}", where, flush=True)
                if ended.exit_code == 0:
                    break
                if ended.exit_code == -signal.SIGKILL:
                    kills.append(where)
                else:
                    problems.append({**where, "failed": ended.output})
                problems += [{**where, "after the kill": each} for each in company.torn()]
            ended = company.run("run")
            if ended.exit_code:
                problems.append({**chapter, "failed": ended.output})
                break
            compared += 1
            found, left = differences(company.outcome(), outcome), company.leftovers()
            if found or left:
                problems.append({**chapter, "differs": found, "left over": left})
            print("let through:", f"{ended.seconds:.1f} s,", found, left, flush=True)
        if any(problem["company"] == companies for problem in problems):
            shutil.copytree(place, folder / f"problem_{companies}", symlinks=True)
    report = {
        "seed": options.seed,
        "kills": len(kills),
        "by step": Counter(str(kill["step"]) for kill in kills),
        "companies": companies,
        "runs let through and compared": compared,
        "problems": problems,
        "moments": kills,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1, default=str) + "\n")
    print(json.dumps({**report, "moments": "..."}, indent=1, default=str))
    if not problems:
        shutil.rmtree(folder)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
