"""The words and tables of a card: from facts to blocks."""

from collections.abc import Callable, Sequence

from ml.card import pictures
from ml.card.blocks import Block, Bullets, Grid, Heading, Paragraph, Picture
from ml.card.facts import CardFacts
from ml.card.segments import SegmentReport
from ml.judge import MIN_SEGMENT_CLASS, OVERALL, TEST, Evaluation
from ml.metrics import METRICS, Estimate

_FEATURES_SHOWN = 15

IMPORTANCE, BEESWARM, DEPENDENCE, MISSED = (
    "importance.png",
    "beeswarm.png",
    "dependence.png",
    "missed.png",
)


def content(facts: CardFacts) -> list[Block]:
    """Return a card's blocks, from what the model is to what it looks at."""
    return [
        *_what(facts),
        *_judged(facts),
        *_weak(facts),
        *_calibrated(facts),
        *_looks_at(facts),
        *_limits(facts),
    ]


def name_of(facts: CardFacts) -> str:
    """Return how the version is called."""
    return f"{facts.version.model_name} {facts.version.model_version}"


def _what(facts: CardFacts) -> list[Block]:
    record, frozen = facts.record, facts.frozen
    named = f" It is named {', '.join(facts.aliases)} as this is written." if facts.aliases else ""
    horizons = "within the horizon of the customer's cohort (seed cohorts)"
    return [
        Heading(f"Model card: {name_of(facts)}", 1),
        Paragraph(
            f"A {spoken(record.estimator)} that gives every active customer a probability of "
            f"churn {horizons}, from {record.feature_count} features of gold.customer_360."
            f"{named}"
        ),
        Heading("What it was made from"),
        Grid(
            ["", ""],
            [
                ["trained at", f"{record.trained_at:%Y-%m-%d %H:%M} UTC"],
                [
                    "training rows",
                    f"{record.train_rows:,}, as of {record.train_from} to {record.train_to}; no "
                    f"label known after {record.training_cutoff:%Y-%m-%d}",
                ],
                [
                    "test rows",
                    f"{record.test_rows:,}, as of {record.test_from} to {record.test_to}; none "
                    "trained on, chosen or calibrated by",
                ],
                ["purged rows", f"{record.purged_rows:,}, neither trained on nor tested"],
                ["calibration", record.calibration_method],
                [
                    "frozen training set",
                    f"{record.training_set_id}: {frozen.row_count:,} rows, "
                    f"{100 * frozen.label_rate:.1f} % churned",
                ],
                ["SHA-256 of its file", record.training_set_sha256],
                ["fingerprint of gold", record.gold_fingerprint],
                ["hash of the features", record.features_hash],
                ["MLflow run", facts.version.run_id],
            ],
        ),
    ]


def _judged(facts: CardFacts) -> list[Block]:
    record = facts.record
    found: dict[str, dict[str, Evaluation]] = {}
    for each in record.evaluations:
        if (each.split, each.segment_type) == (TEST, OVERALL):
            found.setdefault(each.estimator, {})[each.metric] = each
    truth = {} if record.truth is None else record.truth.of_truth
    columns = [*(spoken(name) for name in found), *(["the truth itself"] if truth else [])]
    rows = [
        [
            _words(metric),
            *(_cell(found[name].get(metric)) for name in found),
            *([_figure(truth.get(metric), metric)] if truth else []),
        ]
        for metric in METRICS
    ]
    return [
        Heading("How it was judged"),
        Paragraph(
            "On the test rows; in brackets 95 % intervals, by bootstrap over customers. Capacity "
            f"is the top {100 * facts.capacity_share:.0f} %."
        ),
        Grid(["", *columns], rows, right=columns),
        *_chosen(facts),
        *_gates(facts),
    ]


def _chosen(facts: CardFacts) -> list[Block]:
    standings, policies = facts.record.standings, facts.record.policies
    columns = ["average precision", "worst date", "over recency alone", "behind the best"]
    called = ["from", "called", "precision", "recall"]
    return [
        Heading("Families by past dates, each judged by what was known on it", 3),
        Grid(
            ["", *columns],
            [
                [
                    spoken(each.estimator),
                    _ranged(each.mean, _three),
                    "–" if each.worst is None else f"{each.worst:.3f} ({each.worst_fold})",
                    "" if each.gain is None else _ranged(each.gain, _signed),
                    "" if each.gap is None else _ranged(each.gap, _signed),
                ]
                for each in standings
            ],
            right=columns,
        ),
        Heading("From which probability on to call, chosen on those dates", 3),
        Grid(
            ["policy", *called],
            [
                [
                    f"{each.policy}{' (chosen)' if each.policy == policies.chosen else ''}",
                    "nobody" if each.threshold.value is None else f"{each.threshold.value:.3f}",
                    percent(each.reached.share_called),
                    percent(each.reached.precision),
                    percent(each.reached.recall),
                ]
                for each in policies.thresholds
            ],
            right=called,
        ),
        Paragraph(f"Bound on the churn value that is missed: {policies.bound.why}."),
    ]


def _gates(facts: CardFacts) -> list[Block]:
    if not facts.gates:
        said = (
            "It has not been at the gates: `holdfast promote --dry-run` says what they would say."
        )
        return [Heading("Whether it may serve", 3), Paragraph(said)]
    return [
        Heading("Whether it may serve: what the gates said last", 3),
        Grid(
            ["gate", "", "evidence"],
            [
                [
                    gate.gate.replace("_", " "),
                    "passed" if gate.is_passed else "failed",
                    gate.evidence,
                ]
                for gate in facts.gates
            ],
        ),
    ]


def _weak(facts: CardFacts) -> list[Block]:
    judged = [each for each in facts.segments if each.missed.value is not None]
    columns = ["segment", "rows", "churned", "called", "missed", "beyond the others"]
    blocks: list[Block] = [
        Heading("Where it is weak: who is missed more"),
        Paragraph(
            f"At a capacity of {100 * facts.capacity_share:.0f} % of all rows, "
            f"{100 * facts.missed:.0f} % of the "
            "churned rows are not called. The list takes the likeliest first, so segments that "
            "churn less are missed more, and that alone is no fault of the model."
        ),
        Grid(
            columns,
            [
                [
                    f"{each.kind}: {each.segment}",
                    f"{each.observations:,}",
                    f"{each.churned:,}",
                    f"{100 * each.called_share:.0f} %",
                    percent(each.missed),
                    points(each.missed_beyond_others),
                ]
                for each in facts.segments
            ],
            right=columns[1:],
        ),
        Bullets(_who_is_missed(judged)),
        Picture(MISSED, "Churned customers outside the capacity, by segment, with 95 % intervals"),
    ]
    return blocks


def _who_is_missed(judged: Sequence[SegmentReport]) -> list[str]:
    more = [each for each in judged if each.is_missed_more]
    said = [
        f"Missed more: {each.kind} {each.segment}, {percent(each.missed)} of its churned rows, "
        f"{points(each.missed_beyond_others)} points beyond the others."
        for each in more
    ]
    if not more:
        said.append("No segment's churned rows are missed more than the others', beyond chance.")
    compared = sum(each.missed_beyond_others.value is not None for each in judged)
    said.append(
        f"{compared} segments were compared, each at 95 %: about one in forty stands out so by "
        f"chance. Segments with fewer than {MIN_SEGMENT_CLASS} churned rows are not compared."
    )
    return said


def _calibrated(facts: CardFacts) -> list[Block]:
    columns = ["segment", "mean probability", "churned", "too high by, in points"]
    off = [each for each in facts.segments if each.is_biased]
    said = [
        f"{each.kind} {each.segment}: probabilities too "
        f"{'high' if (each.bias.value or 0) > 0 else 'low'}, {100 * each.forecast:.1f} % where "
        f"{100 * each.happened:.1f} % churned."
        for each in off
    ]
    return [
        Heading("Whether its probabilities are true"),
        Grid(
            columns,
            [
                [
                    f"{each.kind}: {each.segment}",
                    f"{100 * each.forecast:.1f} %",
                    f"{100 * each.happened:.1f} %",
                    points(each.bias, places=1),
                ]
                for each in facts.segments
            ],
            right=columns[1:],
        ),
        Bullets(said or ["No segment's probabilities are off beyond chance."]),
    ]


def _looks_at(facts: CardFacts) -> list[Block]:
    size = pictures.strengths(facts.parts)
    order = pictures.by_strength(facts.parts)
    families: dict[str, list[int]] = {}
    for at, name in enumerate(facts.parts.features):
        families.setdefault(facts.features[name].family, []).append(at)
    total = float(size.sum()) or 1.0
    by_family = sorted(families.items(), key=lambda each: -float(size[each[1]].sum()))
    strongest = [
        [
            facts.parts.features[at],
            f"{size[at]:.3f}",
            facts.features[facts.parts.features[at]].description,
        ]
        for at in order[:_FEATURES_SHOWN]
    ]
    return [
        Heading("What it looks at"),
        Paragraph(
            f"What each feature adds to the raw score, in log-odds, on {len(facts.sample):,} of "
            "the test rows; the parts and a base add up to the score. They say what moves the "
            "score, not what would keep a customer."
        ),
        Picture(IMPORTANCE, "Mean size of what each feature adds, the strongest"),
        Picture(BEESWARM, "What each feature adds, one dot an observation"),
        Picture(DEPENDENCE, "What the strongest features add at each value; red: the mean"),
        Heading("The strongest features", 3),
        Grid(["feature", "mean size", "what it is"], strongest, right=["mean size"]),
        Heading("Features by family", 3),
        Grid(
            ["family", "features", "share of the contributions"],
            [
                [family, str(len(places)), f"{100 * float(size[places].sum()) / total:.1f} %"]
                for family, places in by_family
            ],
            right=["features", "share of the contributions"],
        ),
    ]


def _limits(facts: CardFacts) -> list[Block]:
    record = facts.record
    few = [each for each in record.label_rates if each.churned < MIN_SEGMENT_CLASS]
    said = [
        "It ranks who leaves, not whom a call would keep.",
        "It knows only the kinds of customer and of churn that the training rows hold; where the "
        "company changes, the figures above are of before.",
        "Customers without an active subscription (or order, by inactivity) are not scored.",
        *(
            f"Cohort {each.cohort}: only {each.churned} of {each.observations:,} labelled "
            "observations churned; its probabilities lean on the other cohorts."
            for each in few
        ),
        *(f"{note[0].upper()}{note[1:]}." for note in record.notes),
    ]
    return [Heading("Limits"), Bullets(said)]


def spoken(estimator: str) -> str:
    """Return an estimator's name in words."""
    names = {"lightgbm": "LightGBM", "xgboost": "XGBoost", "catboost": "CatBoost"}
    words = {"recency": "recency alone", **names}
    return words.get(estimator, _words(estimator))


def _words(name: str) -> str:
    return name.replace("_", " ")


def percent(estimate: Estimate) -> str:
    """Return a share with its interval; a dash for none."""
    return _ranged(estimate, lambda value: f"{100 * value:.0f} %")


def points(estimate: Estimate, places: int = 0) -> str:
    """Return a difference of shares in points with its interval; a dash for none."""
    return _ranged(estimate, lambda value: f"{100 * value:+.{places}f}")


def _cell(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return "–"
    estimate = Estimate(evaluation.value, evaluation.lower_bound, evaluation.upper_bound)
    return _ranged(estimate, lambda value: _figure(value, evaluation.metric))


def _figure(value: float | None, metric: str) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if metric.endswith("_days") else _three(value)


def _three(value: float) -> str:
    return f"{value:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}"


def _ranged(estimate: Estimate, write: Callable[[float], str]) -> str:
    if estimate.value is None:
        return "–"
    if estimate.lower is None or estimate.upper is None:
        return write(estimate.value)
    return f"{write(estimate.value)} [{write(estimate.lower)}, {write(estimate.upper)}]"
