"""Write the card of a version: for people among the reports, and with the model in MLflow."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.card import pictures
from ml.card.blocks import to_html, to_markdown
from ml.card.content import BEESWARM, DEPENDENCE, IMPORTANCE, MISSED, content
from ml.card.facts import CardFacts, gather
from ml.progress import Progress, silent
from ml.registry import RegisteredVersion, Registry
from ml.settings import Settings

_ARTIFACTS = "card"


@dataclass(frozen=True)
class WrittenCard:
    """Where the card of a version lies.

    Attributes
    ----------
    html
        One self-contained page.
    markdown
        The same as text, with its pictures in the folder beside it.
    """

    model_name: str
    model_version: int
    html: Path
    markdown: Path
    pictures: Path

    def to_dict(self) -> dict[str, Any]:
        """Return the card as JSON can hold it."""
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in vars(self).items()
        }


def write_card(
    settings: Settings,
    store: Registry,
    version: RegisteredVersion,
    *,
    progress: Progress | None = None,
) -> WrittenCard:
    """Write the card of a registered version; writing it again replaces it.

    Raises
    ------
    DataError
        If the frozen set that the version was trained on is gone or was changed since.
    """
    say = progress or silent
    say("Gathering what the card tells", 0, 0)
    facts = gather(settings, store, version)
    say("Drawing what the model looks at", 0, 0)
    settings.reports_dir.mkdir(parents=True, exist_ok=True)
    name = f"model_card_{version.model_version}"
    folder = settings.reports_dir / name
    _draw(facts, folder)
    blocks = content(facts)
    html, markdown = folder.with_suffix(".html"), folder.with_suffix(".md")
    _write(html, to_html(blocks, folder))
    _write(markdown, to_markdown(blocks, folder.name))
    say("Keeping the card with the model", 0, 0)
    for path in (html, markdown, folder):
        store.keep(version.run_id, path, _ARTIFACTS)
    return WrittenCard(version.model_name, version.model_version, html, markdown, folder)


def has_card(settings: Settings, store: Registry, version: RegisteredVersion) -> bool:
    """Return whether the card of a version lies where `write_card` puts it, all of it."""
    name = f"model_card_{version.model_version}"
    return (settings.reports_dir / f"{name}.md").is_file() and store.keeps(
        version.run_id, f"{_ARTIFACTS}/{name}"
    )


def _draw(facts: CardFacts, folder: Path) -> None:
    new = folder.with_name(f".{folder.name}.half")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    drawn = {
        IMPORTANCE: pictures.importance(facts.parts, facts.features),
        BEESWARM: pictures.beeswarm(facts.parts, facts.sample, facts.features),
        DEPENDENCE: pictures.dependence(facts.parts, facts.sample, facts.features),
        MISSED: pictures.missed(facts.segments, facts.missed, facts.capacity_share),
    }
    for name, figure in drawn.items():
        # Without the software's name and version, the same picture is the same file.
        figure.savefig(new / name, metadata={"Software": None})
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(new, folder)


def _write(path: Path, text: str) -> None:
    half = path.with_name(f".{path.name}.half")
    half.write_text(text, encoding="utf-8")
    os.replace(half, path)
