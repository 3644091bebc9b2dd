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
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "python"))

from under_load import Company, Ended, differences, moment_in  # noqa: E402

CHAPTERS = ({"known_until": "2025-01-05"}, {})
KILLS_A_CHAPTER = 5


def tell(company: Company, chapters: tuple[dict[str, str], ...]) -> list[tuple[Ended, dict]]:
    """Run every chapter undisturbed."""
    told = []
    for vars in chapters:
        ended = company.run("run", vars=vars)
        if ended.exit_code:
            raise SystemExit(f"The undisturbed run failed: {ended.output}")
        told.append((ended, company.outcome()))
    return told


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
    undisturbed = Company.made(folder / "undisturbed")
    told = tell(undisturbed, CHAPTERS)
    print("undisturbed:", *(f"{ended.seconds:.1f} s" for ended, _ in told), flush=True)
    kills: list[dict[str, object]] = []
    problems: list[dict[str, object]] = []
    companies = 0
    while len(kills) < options.kills:
        companies += 1
        company = undisturbed.copy(folder / f"company_{companies}")
        for number, (vars, (reference, outcome)) in enumerate(zip(CHAPTERS, told, strict=True)):
            for _ in range(KILLS_A_CHAPTER):
                moment = moment_in(reference.events, reference.seconds, chance)
                ended = company.run("run", kill_at=moment, vars=vars)
                where = {"company": companies, "chapter": number + 1, **vars_of(moment)}
                if ended.exit_code == -9:
                    kills.append(where)
                    problems += [{**where, "after the kill": each} for each in company.torn()]
                elif ended.exit_code:
                    problems.append({**where, "failed": ended.output})
                print(ended.exit_code, f"{ended.seconds:.1f}", where, flush=True)
            ended = company.run("run", vars=vars)
            where = {"company": companies, "chapter": number + 1}
            if ended.exit_code:
                problems.append({**where, "failed": ended.output})
                break
            found = differences(company.outcome(), outcome)
            if found or company.leftovers():
                problems.append({**where, "differs": found, "left over": company.leftovers()})
            print("let through:", f"{ended.seconds:.1f} s,", found, company.leftovers(), flush=True)
        if not any(problem["company"] == companies for problem in problems):
            shutil.rmtree(company.folder)
    report = {
        "seed": options.seed,
        "kills": len(kills),
        "by step": Counter(str(kill["step"]) for kill in kills),
        "companies": companies,
        "runs let through and compared": 2 * companies,
        "problems": problems,
        "moments": kills,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1, default=str) + "\n")
    print(json.dumps({**report, "moments": "..."}, indent=1, default=str))
    if not problems:
        shutil.rmtree(folder)
    return 1 if problems else 0


def vars_of(moment: object) -> dict[str, object]:
    """Return a moment as JSON can hold it."""
    return {name: value for name, value in vars(moment).items()}


if __name__ == "__main__":
    sys.exit(main())
