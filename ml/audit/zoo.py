"""The zoo of leaks: patches to the project, read from ``tests/mutants/zoo.yml``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ml.errors import HoldfastError, UsageError

ZOO = Path("tests") / "mutants" / "zoo.yml"


@dataclass(frozen=True)
class Change:
    """One text in place of another, which stands exactly once in the file."""

    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A patch to one file of the project.

    Attributes
    ----------
    mistake
        What it does wrong; empty for a harmless rewrite.
    tests
        The tests that are to notice it, as pytest names them: all that is asked of a patch to
        Python, and what a patch to SQL needs that shows in another build than the audits' own.
    """

    name: str
    file: str
    changes: tuple[Change, ...]
    mistake: str = ""
    tests: tuple[str, ...] = ()

    @property
    def is_leak(self) -> bool:
        """Whether it has to be noticed, rather than not to be."""
        return bool(self.mistake)

    def apply(self, project_dir: Path) -> None:
        """Patch the file in a copy of the project.

        Raises
        ------
        HoldfastError
            Where the file lacks a text that the patch replaces, or has it more than once.
        """
        path = project_dir / self.file
        text = path.read_text(encoding="utf-8")
        for change in self.changes:
            if (found := text.count(change.old)) != 1:
                raise HoldfastError(
                    f"The mutant {self.name} wants to replace a text that stands once in "
                    f"{self.file}, and it stands there {found} times: {change.old!r}. The file has "
                    f"changed since: mend {ZOO}."
                )
            text = text.replace(change.old, change.new)
        path.write_text(text, encoding="utf-8")


def read_zoo(project_dir: Path, names: Sequence[str] = ()) -> list[Mutant]:
    """Return the leaks and then the harmless rewrites, all or those named.

    Raises
    ------
    UsageError
        Where the project holds no zoo, or a name is not in it.
    """
    path = project_dir / ZOO
    if not path.is_file():
        raise UsageError(
            f"The mutants are patches to Holdfast's own code and need its repository: {path} is "
            "not there. Name it with --project-dir."
        )
    zoo = yaml.safe_load(path.read_text(encoding="utf-8"))
    mutants = [_mutant(entry) for kind in ("leaks", "harmless") for entry in zoo[kind]]
    known = [mutant.name for mutant in mutants]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise UsageError(f"The zoo has no {', '.join(unknown)}; it has {', '.join(known)}.")
    return [mutant for mutant in mutants if not names or mutant.name in names]


def _mutant(entry: dict[str, Any]) -> Mutant:
    return Mutant(
        name=entry["name"],
        file=entry["file"],
        changes=tuple(
            Change(change["old"], change["new"]) for change in (entry, *entry.get("also", ()))
        ),
        mistake=entry.get("mistake", ""),
        tests=tuple(entry.get("tests", ())),
    )
