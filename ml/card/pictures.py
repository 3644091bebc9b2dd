"""Pictures of what a model looks at: importance, beeswarm, dependence, and who is missed."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, StrMethodFormatter
from numpy.typing import NDArray

from ml.card.segments import SegmentReport
from ml.contract import Feature
from ml.explain import Contributions

Floats = NDArray[np.float64]

_BLUE, _RED, _GREY, _INK = "#2a6fb0", "#c8452f", "#9aa5b1", "#1c2733"
_LOW_TO_HIGH = LinearSegmentedColormap.from_list("low_to_high", [_BLUE, "#b9a7c9", _RED])
_ADDS = "adds to the raw score (above 0: raises the risk)"
_BARS, _SWARMS, _PANELS = 20, 15, 6
# Of categories, the most frequent; more would not fit beside each other.
_MOST_CATEGORIES = 6
# A long tail would press everything else against the axis.
_SHOWN_QUANTILE = 0.99
_BINS = 120


def strengths(parts: Contributions) -> Floats:
    """Return the mean size of each feature's contribution, `(n_features,)`."""
    return np.asarray(np.abs(parts.values).mean(axis=0))


def by_strength(parts: Contributions) -> list[int]:
    """Return the positions of the features that add anything, the strongest first."""
    size = strengths(parts)
    order = np.argsort(-size, kind="stable")
    return [int(at) for at in order if size[at] > 0]


def importance(parts: Contributions, features: Mapping[str, Feature]) -> Figure:
    """Return the mean size of the strongest features' contributions as bars."""
    shown = by_strength(parts)[:_BARS]
    figure, axes = _figure(8, 0.6 + 0.3 * max(len(shown), 4))
    size = strengths(parts)
    families = [features[parts.features[at]].family for at in shown]
    colours = _family_colours(families)
    places = np.arange(len(shown))[::-1]
    axes.barh(
        places,
        [size[at] for at in shown],
        color=[colours[family] for family in families],
        height=0.72,
    )
    for place, at in zip(places, shown, strict=True):
        axes.annotate(
            f"{size[at]:.3f}",
            (size[at], place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=_INK,
        )
    axes.set_yticks(places, [parts.features[at] for at in shown])
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.margins(x=0.1)
    axes.set_xlabel("mean size of what the feature adds to the raw score")
    axes.legend(
        handles=[Patch(color=colour, label=family) for family, colour in colours.items()],
        loc="lower right",
        frameon=False,
        fontsize=9,
    )
    _clean(axes, "x")
    return figure


def beeswarm(parts: Contributions, frame: pd.DataFrame, features: Mapping[str, Feature]) -> Figure:
    """Return one dot an observation and feature: what it adds, coloured by the feature's value."""
    shown = by_strength(parts)[:_SWARMS]
    figure, axes = _figure(8, 1.1 + 0.42 * max(len(shown), 4))
    places = np.arange(len(shown))[::-1]
    axes.axvline(0, color=_GREY, linewidth=0.8, zorder=0)
    for place, at in zip(places, shown, strict=True):
        name = parts.features[at]
        added = parts.values[:, at]
        level = _level(frame[name], features[name])
        height = place + _spread(added)
        known = np.isfinite(level)
        dots = {"s": 5.0, "linewidths": 0.0, "alpha": 0.75}
        axes.scatter(added[~known], height[~known], color=_GREY, **dots)  # type: ignore[arg-type]
        axes.scatter(
            added[known],
            height[known],
            c=level[known],
            cmap=_LOW_TO_HIGH,
            norm=Normalize(0, 1),
            **dots,  # type: ignore[arg-type]
        )
    axes.set_yticks(places, [parts.features[at] for at in shown])
    axes.set_ylim(-0.7, len(shown) - 0.3)
    axes.set_xlabel(_ADDS)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), _LOW_TO_HIGH), ax=axes, fraction=0.03, aspect=40, pad=0.02
    )
    bar.set_ticks([0, 1], labels=["low", "high"])
    bar.set_label("value of the feature (grey: null or a category)", fontsize=9)
    bar.outline.set_visible(False)
    _clean(axes, "x")
    return figure


def dependence(
    parts: Contributions, frame: pd.DataFrame, features: Mapping[str, Feature]
) -> Figure:
    """Return what the strongest features add at each of their values, a panel a feature."""
    shown = by_strength(parts)[:_PANELS]
    rows = max(1, -(-len(shown) // 3))
    figure = Figure(figsize=(10, 3.1 * rows), dpi=110, layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, 3, sharey=True)).ravel()
    for panel in panels[len(shown) :]:
        panel.set_visible(False)
    for panel, at in zip(panels, shown, strict=False):
        feature = features[parts.features[at]]
        values, added = frame[feature.name], parts.values[:, at]
        panel.axhline(0, color=_GREY, linewidth=0.8, zorder=0)
        if feature.kind == "number":
            _number_panel(panel, feature, values.to_numpy(dtype=np.float64), added)
        else:
            _category_panel(panel, feature, values, added)
        panel.set_title(feature.name, fontsize=10, color=_INK)
        _clean(panel, "both")
    for panel in panels[::3]:
        panel.set_ylabel("adds to the raw score", fontsize=9)
    return figure


def missed(reports: Sequence[SegmentReport], overall: float, share: float) -> Figure:
    """Return the share of churned customers outside the capacity, by segment, with intervals."""
    shown = [each for each in reports if each.missed.value is not None]
    figure, axes = _figure(8, 1.0 + 0.32 * max(len(shown), 4))
    places = np.arange(len(shown))[::-1]
    axes.axvline(overall, color=_GREY, linestyle=":")
    axes.annotate(
        f"all: {100 * overall:.0f} %",
        (overall, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        fontsize=8,
        color="#5b6b7b",
    )
    for place, each in zip(places, shown, strict=True):
        value, lower, upper = each.missed.value, each.missed.lower, each.missed.upper
        colour = _RED if each.is_missed_more else _BLUE
        if lower is not None and upper is not None:
            axes.plot([lower, upper], [place, place], color=colour, linewidth=2, alpha=0.55)
        axes.plot([value or 0.0], [place], "o", color=colour, markersize=6)
    axes.set_yticks(places, [f"{each.kind}: {each.segment}" for each in shown])
    axes.set_ylim(-0.6, max(len(shown), 1) - 0.4)
    axes.set_xlim(0, 1)
    axes.set_xlabel(
        f"share of churned rows outside the top {100 * share:.0f} % "
        "(red: more than among the others)"
    )
    _clean(axes, "x")
    return figure


def _number_panel(axes: Axes, feature: Feature, values: Floats, added: Floats) -> None:
    known = np.isfinite(values)
    if known.any():
        lowest, highest = np.quantile(values[known], [1 - _SHOWN_QUANTILE, _SHOWN_QUANTILE])
        inside = known & (values >= lowest) & (values <= highest)
        axes.scatter(
            values[inside],
            added[inside],
            s=6,
            linewidths=0,
            alpha=0.45,
            color=_BLUE,
            rasterized=True,
        )
        axes.plot(*_trend(values[inside], added[inside]), color=_RED, linewidth=1.6)
    if not known.all():
        axes.text(
            0.97,
            0.96,
            f"null: {added[~known].mean():+.2f} ({100 * (~known).mean():.0f} % of rows)",
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=8,
            color="#5b6b7b",
        )
    axes.set_xlabel(feature.unit or "", fontsize=9)
    if known.any() and _is_long_tailed(values[known]):
        # Linear near 0, where many are, and by tens beyond.
        least = int(np.ceil(np.log10(_middle(values[known]))))
        axes.set_xscale("symlog", linthresh=10.0**least)
        most = int(np.log10(np.abs(axes.get_xlim()).max()))
        tens = 10.0 ** np.arange(least, most + 1)
        lowest = axes.get_xlim()[0]
        if lowest <= -tens[0]:
            # Both sides have their tens: every other one leaves room for the words.
            tens = tens[::2]
        axes.xaxis.set_major_locator(FixedLocator([*-tens[-tens > lowest], 0, *tens]))
        axes.minorticks_off()
    else:
        axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.6g}"))


def _is_long_tailed(values: Floats) -> bool:
    return bool(np.quantile(np.abs(values), _SHOWN_QUANTILE) > 50 * _middle(values) > 0)


def _middle(values: Floats) -> float:
    """Return the median size of what is not 0; 0 where all is."""
    size = np.abs(values[values != 0])
    return float(np.median(size)) if size.size else 0.0


def _category_panel(axes: Axes, feature: Feature, values: pd.Series, added: Floats) -> None:
    is_flag = feature.kind == "boolean"
    words = values.map({1.0: "yes", 0.0: "no"}) if is_flag else values
    words = words.where(words.notna(), "null").astype(str)
    shown = list(words.value_counts().sort_index().nlargest(_MOST_CATEGORIES).index)
    for place, word in enumerate(shown):
        here = added[(words == word).to_numpy()]
        axes.scatter(
            place + _spread(here),
            here,
            s=6,
            linewidths=0,
            alpha=0.45,
            color=_BLUE,
            rasterized=True,
        )
        axes.plot([place - 0.3, place + 0.3], [here.mean()] * 2, color=_RED, linewidth=1.6)
    is_long = sum(map(len, shown)) > 24
    axes.set_xticks(
        range(len(shown)),
        shown,
        rotation=30 if is_long else 0,
        ha="right" if is_long else "center",
    )
    axes.set_xlim(-0.6, max(len(shown), 1) - 0.4)


def _trend(values: Floats, added: Floats) -> tuple[Floats, Floats]:
    """Return the mean contribution over about twenty groups of rows of like value."""
    order = np.argsort(values, kind="stable")
    groups = [group for group in np.array_split(order, 20) if group.size]
    x = np.array([values[group].mean() for group in groups])
    y = np.array([added[group].mean() for group in groups])
    # Groups of one value are one point.
    places, inverse = np.unique(x, return_inverse=True)
    means = np.bincount(inverse, weights=y) / np.bincount(inverse)
    return places, means


def _level(values: pd.Series, feature: Feature) -> Floats:
    """Return where each value lies among all, 0 lowest to 1 highest; nan for null or a category."""
    if feature.kind == "category":
        return np.full(len(values), np.nan)
    numbers = pd.Series(values.to_numpy(dtype=np.float64))
    rank = numbers.rank(method="average").to_numpy(dtype=np.float64)
    if not np.isfinite(rank).any():
        return np.full(len(values), np.nan)
    lowest, highest = np.nanmin(rank), np.nanmax(rank)
    share = (rank - lowest) / (highest - lowest) if highest > lowest else rank * 0 + 0.5
    return np.asarray(share, dtype=np.float64)


def _spread(values: Floats) -> Floats:
    """Return offsets that let dots of like value lie beside each other, at most 0.4 away."""
    if values.size == 0:
        return values
    low, high = float(values.min()), float(values.max())
    span = high - low or 1.0
    bins = np.minimum(((values - low) / span * _BINS).astype(np.int64), _BINS - 1)
    order = np.argsort(bins, kind="stable")
    counts = np.bincount(bins, minlength=_BINS)
    starts = np.cumsum(counts) - counts
    place = np.empty(values.size)
    place[order] = np.arange(values.size) - np.repeat(starts, counts)
    size = counts[bins]
    # From the middle outwards: 0, 1, -1, 2, -2 ...
    side = np.where(place % 2 == 1, 1, -1) * np.ceil(place / 2)
    return np.asarray(0.4 * side / max(counts.max() / 2, 6.0)) * (size > 1)


def _family_colours(families: Sequence[str]) -> dict[str, str]:
    palette = (
        _BLUE,
        "#e08e2b",
        "#3d9970",
        _RED,
        "#7d5ba6",
        "#8c6d46",
        "#d37fb0",
        "#5f7484",
        "#a6a32b",
        "#39a5b8",
    )
    ordered = list(dict.fromkeys(families))
    return {family: palette[at % len(palette)] for at, family in enumerate(ordered)}


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    # Not by pyplot: no window, no global state, and any thread may draw.
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    return figure, figure.subplots()


def _clean(axes: Axes, grid: str) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GREY)
    axes.tick_params(colors=_INK, labelsize=9, length=0)
    axes.xaxis.label.set_fontsize(9)
    axes.grid(axis=grid, color="#e8edf2", linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
