"""The picture of a receipt: what each way of measuring claims, and what its model achieves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.audit.claims import Promise
from ml.metrics import AVERAGE_PRECISION, ROC_AUC, Estimate

_NAMES = {
    "random_split": "random split",
    "no_purge": "by time, not purged",
    "newest_state": "today's state",
    "newest_features": "today's features",
    "honest": "honest: by time, purged,\nas known then",
}
_PANELS = {ROC_AUC: "ROC AUC", AVERAGE_PRECISION: "average precision"}
_CLAIMED, _ACHIEVED, _CHANCE = "#c0392b", "#1f4e79", "0.6"


@dataclass(frozen=True)
class Line:
    """One way of measuring in the picture.

    Attributes
    ----------
    judged_rate, following_rate
        The share that churned where it claims and where it is held to it: the average precision
        that chance reaches.
    """

    way: str
    promises: Mapping[str, Promise]
    judged_rate: float
    following_rate: float


def save(path: Path, lines: Sequence[Line], *, title: str) -> None:
    """Write the picture as PNG: a panel for each metric, a line for each way, 95 % intervals."""
    figure = draw(lines, title=title)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without a date or a version in the file, equal figures are equal bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})


def draw(lines: Sequence[Line], *, title: str) -> Figure:
    """Return the picture."""
    figure = Figure(figsize=(9.5, 3.9))
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (metric, name) in zip(panels, _PANELS.items(), strict=True):
        for place, line in enumerate(lines):
            promise = line.promises[metric]
            above, below = place - 0.14, place + 0.14
            _mark(axes, promise.claimed, above, _CLAIMED, "o", "" if place else "claimed")
            _mark(axes, promise.achieved, below, _ACHIEVED, "D", "" if place else "achieved")
            if metric == AVERAGE_PRECISION:
                rates = (line.judged_rate, line.following_rate)
                label = "" if place else "share churned: what chance reaches"
                axes.plot(rates, (above, below), "|", color=_CHANCE, markersize=9, label=label)
        axes.set_xlabel(name)
        axes.grid(axis="x", color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(left=False)
    first = panels[0]
    first.set_yticks(range(len(lines)), [_NAMES.get(line.way, line.way) for line in lines])
    first.invert_yaxis()
    figure.suptitle(title, fontsize=11)
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, frameon=False)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    return figure


def title(project: str, split_at: date, following: Sequence[date]) -> str:
    """Return the heading: whose model, and which months it is held against."""
    months = (
        f"{following[0]:%Y-%m-%d}"
        if len(following) == 1
        else f"{following[0]:%Y-%m-%d} to {following[-1]:%Y-%m-%d}"
    )
    return f"{project}: claimed on {split_at:%Y-%m-%d}, achieved as of {months}"


def _mark(
    axes: Axes, estimate: Estimate, height: float, colour: str, marker: str, label: str
) -> None:
    if estimate.value is None:
        return
    if estimate.lower is not None and estimate.upper is not None:
        axes.plot([estimate.lower, estimate.upper], [height, height], color=colour, linewidth=1.6)
    axes.plot(estimate.value, height, marker, color=colour, markersize=6, label=label)
