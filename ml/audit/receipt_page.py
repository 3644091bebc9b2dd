"""What a receipt says, for a person to read."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from ml.audit.receipt import HONEST, ReceiptResult
from ml.metrics import AVERAGE_PRECISION, PRECISION, ROC_AUC, Estimate
from ml.page import lines, table, title

_METRICS = {
    ROC_AUC: "ROC AUC",
    AVERAGE_PRECISION: "average precision",
    PRECISION: "precision at capacity",
}

_COLUMNS = ("measured by", "train on", "judged on", "claimed", "achieved", "too much")


def of_receipt(result: ReceiptResult) -> RenderableType:
    """Return a table a metric, what each way does, and the verdict."""
    judged = result.of(HONEST)
    parts: list[RenderableType] = [
        Text(
            f"Everyone stands on {result.split_at}. The months that follow are as of "
            f"{', '.join(str(day) for day in result.following_dates)}: "
            f"{result.following_rows:,} observations, "
            f"{result.following_churned / result.following_rows:.1%} of them churned; by time is "
            f"judged as of {', '.join(str(day) for day in result.judged_dates)}, where "
            f"{judged.judged_churned / judged.judged_rows:.1%} churned. Average precision and "
            "precision rise with that share, ROC AUC does not."
        )
    ]
    for metric, name in _METRICS.items():
        rows = []
        for each in result.ways:
            promise = each.promises[metric]
            rows.append(
                [
                    each.way.replace("_", " "),
                    f"{each.train_rows:,}",
                    f"{each.judged_rows:,}",
                    _figure(promise.claimed),
                    _figure(promise.achieved),
                    _figure(promise.excess, sign=True),
                ]
            )
        parts += [
            title(name),
            table(
                ["measured by", "train on", "judged on", "claimed", "achieved", "too much"], rows
            ),
        ]
    parts.append(title("What each does"))
    parts += lines([f"{each.way.replace('_', ' ')}: {each.words}" for each in result.ways])
    parts += ["", _verdict(result)]
    parts.append(Text(f"Report: {result.report}\nPicture: {result.picture}", style="dim"))
    return Group(*parts)


def _verdict(result: ReceiptResult) -> Text:
    promise = result.of(HONEST).promises[ROC_AUC]
    broken = [
        each.way.replace("_", " ")
        for each in result.ways
        if each.way != HONEST and each.promises[ROC_AUC].is_broken
    ]
    others = f"; beyond chance too high: {', '.join(broken)}" if broken else ""
    if promise.is_broken:
        return Text(
            "By ROC AUC the honest claim was not kept: the months that follow are unlike those "
            f"before{others}.",
            style="bold red",
        )
    return Text(
        f"By ROC AUC the honest claim is not above what was achieved{others}.", style="green"
    )


def _figure(estimate: Estimate, *, sign: bool = False) -> str:
    if estimate.value is None:
        return "-"
    form = "+.3f" if sign else ".3f"
    if estimate.lower is None or estimate.upper is None:
        return f"{estimate.value:{form}}"
    return f"{estimate.value:{form}} [{estimate.lower:{form}}, {estimate.upper:{form}}]"
