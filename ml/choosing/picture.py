"""Pictures of histories and of what features are worth."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from ml.leaderboard import Standing


def history(standings: Sequence[Standing]) -> Figure:
    """Return average precision by date, a line for every estimator."""
    figure = Figure(figsize=(8, 4.5))
    axes = figure.subplots()
    for each in standings:
        days = list(each.by_fold)
        values = [float("nan") if value is None else value for value in each.by_fold.values()]
        axes.plot(days, values, marker="o", label=each.estimator.replace("_", " "))
    axes.set_title("Average precision by date, trained on what was known on it")
    axes.set_xlabel("as-of date")
    axes.set_ylabel("average precision")
    axes.set_ylim(bottom=0)
    axes.tick_params(axis="x", rotation=45)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.tight_layout()
    return figure
