"""The pictures of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

_OURS, _THEIRS, _LIMIT = "#0b6e4f", "#8d99ae", "#d1495b"


def contest(result: Mapping[str, Any], path: Path) -> Path:
    """Draw how many times as long as Holdfast's SQL everyone takes, and each one's memory."""
    titles = {one["name"]: one["title"] for one in result["contenders"]}
    memory = {
        one["name"]: one["peak_mb"]["median"] for one in result["contenders"] if one["peak_mb"]
    }
    bars = {
        one["name"]: (one["wall"]["median"], one["wall"]["least"], one["wall"]["most"])
        for one in result["ratios"]
        if one["base"] == "holdfast"
    }
    processor = {
        one["name"]: one["cpu"]["median"] for one in result["ratios"] if one["base"] == "holdfast"
    }
    bars["holdfast"], processor["holdfast"] = (1.0, 1.0, 1.0), 1.0
    names = sorted(bars, key=lambda name: -bars[name][0])
    colours = [
        _LIMIT if name == "limit" else _OURS if name in ("holdfast", "dbt_build") else _THEIRS
        for name in names
    ]
    figure = Figure(figsize=(10, 0.42 * len(names) + 1.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    places = range(len(names))
    # Points, not bars: a bar has no beginning on a logarithmic scale.
    for place, (name, colour) in enumerate(zip(names, colours, strict=True)):
        middle, least, most = bars[name]
        left.plot([least, most], [place, place], color=colour, lw=2, zorder=2)
        left.plot(middle, place, marker="o", ms=9, color=colour, zorder=3)
        left.plot(processor[name], place, marker="|", ms=13, mew=2, color="#333", zorder=4)
        left.annotate(
            f"{middle:.2g}" if middle < 10 else f"{middle:,.0f}",
            (max(most, processor[name]), place),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    left.set_yticks(places, [titles[name] for name in names])
    left.set_xscale("log")
    left.axvline(1, color="#333", lw=0.8, zorder=1)
    highest = max(bars[name][2] for name in names)
    ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick < highest * 2]
    left.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    left.minorticks_off()
    left.set_xlim(0.5, highest * 2)
    left.grid(axis="x", color="#ddd", lw=0.6)
    left.set_xlabel("times Holdfast's SQL, by the clock (point, range) and processor (bar)")
    right.barh(places, [memory[name] / 1000 for name in names], color=colours)
    right.set_xlabel("peak memory, GB")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    return path


def growth(result: Mapping[str, Any], path: Path) -> Path:
    """Draw processor time a row and peak memory by size."""
    steps = result["steps"]
    customers = [one["customers"] for one in steps]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(
        customers,
        [1e6 * one["build"]["cpu"] / one["rows"] for one in steps],
        marker="o",
        color=_OURS,
        label="raw files to gold",
    )
    left.set_ylabel("processor time, µs a raw row")
    right.plot(
        customers, [one["build"]["peak_mb"] / 1000 for one in steps], marker="o", color=_OURS
    )
    right.axhline(4.0, color=_LIMIT, lw=1, ls="--")
    right.annotate(
        "limit of DuckDB's memory",
        (customers[-1], 4.0),
        xytext=(0, -4),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=8,
        color=_LIMIT,
    )
    right.set_ylabel("peak memory of the process, GB")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_xticks(customers, [f"{one:,}" for one in customers], fontsize=8)
        axes.minorticks_off()
        axes.set_xlabel("customers")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    return path
