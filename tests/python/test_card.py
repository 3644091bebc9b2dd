import doctest
import re
from base64 import b64decode

import numpy as np
import pandas as pd
import pytest

from ml.card import blocks, pictures, segments
from ml.card.blocks import Bullets, Grid, Heading, Paragraph, Picture, to_html, to_markdown
from ml.card.segments import by_segment, called, merge_rare
from ml.contract import Feature
from ml.explain import Contributions
from ml.metrics import Forecast, Outcomes, recall_at


def outcomes_of(target, customer=None):
    nothing = np.full(target.size, np.nan)
    customer = np.arange(target.size) if customer is None else customer
    return Outcomes(target, nothing, np.ones(target.size), customer)


def reports(target, score, words, *, probability=None, customer=None, share=0.2):
    forecast = Forecast(score, score if probability is None else probability)
    found = by_segment(
        outcomes_of(target, customer),
        forecast,
        {"kind": np.asarray(words, dtype=object)},
        share=share,
        samples=200,
        rng=np.random.default_rng(0),
    )
    return {each.segment: each for each in found}


def company(count=4000, seed=0):
    """Return customers of two kinds who churn alike; of `dark` ones the score knows nothing."""
    rng = np.random.default_rng(seed)
    is_dark = rng.random(count) < 0.4
    risk = rng.random(count) * 0.4
    target = (rng.random(count) < risk).astype(float)
    score = np.where(is_dark, 0.4 * rng.random(count), risk)
    return target, score, np.where(is_dark, "dark", "bright")


def test_what_is_called_agrees_with_recall_at_capacity():
    rng = np.random.default_rng(3)
    target = (rng.random(500) < 0.2).astype(float)
    score = np.round(rng.random(500), 1)
    for share in (0.01, 0.1, 0.33, 0.999):
        inside = called(score, share)
        assert inside.sum() == pytest.approx(share * 500)
        assert (target * inside).sum() / target.sum() == pytest.approx(
            recall_at(target, score, share)
        )


def test_segments_that_the_model_does_not_see_are_missed_more():
    found = reports(*company())
    dark, bright = found["dark"], found["bright"]
    assert dark.is_missed_more and not bright.is_missed_more
    assert dark.missed.lower < dark.missed.value < dark.missed.upper
    # One against the other: what one is missed more, the other is missed less.
    assert dark.missed_beyond_others.value == pytest.approx(-bright.missed_beyond_others.value)
    assert dark.observations + bright.observations == 4000


def test_missed_shares_add_up_to_those_of_all():
    target, score, words = company(seed=1)
    found = reports(target, score, words).values()
    missed = sum(each.missed.value * each.churned for each in found) / target.sum()
    assert missed == pytest.approx(1 - recall_at(target, score, 0.2))


def test_chance_alone_rarely_makes_a_segment_stand_out():
    stands_out = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        risk = rng.random(1500) * 0.4
        target = (rng.random(1500) < risk).astype(float)
        found = reports(target, risk, rng.choice(["one", "two"], 1500))
        stands_out += sum(each.is_missed_more for each in found.values())
    # 40 looks at 2.5 % each; seven or more would come by chance once in ten thousand such tests.
    assert stands_out < 7


def test_probabilities_that_are_too_high_in_one_segment_are_told():
    target, score, words = company()
    probability = np.where(words == "dark", 0.5, score)
    found = reports(target, score, words, probability=probability)
    assert found["dark"].is_biased and not found["bright"].is_biased
    assert found["dark"].bias.value == pytest.approx(0.5 - target[words == "dark"].mean())


def test_rows_of_one_customer_are_no_independent_evidence():
    target, score, words = company(count=600)
    once = reports(target, score, words)["dark"].missed
    repeated = reports(
        np.tile(target, 4),
        np.tile(score, 4),
        np.tile(words, 4),
        customer=np.tile(np.arange(600), 4),
    )["dark"].missed
    assert repeated.value == pytest.approx(once.value, abs=0.02)
    width = once.upper - once.lower
    assert repeated.upper - repeated.lower == pytest.approx(width, rel=0.25)


def test_a_segment_with_few_churners_is_not_judged():
    target, score, words = company()
    words = words.astype(object)
    words[np.flatnonzero(target)[:5]] = "few"
    few = reports(target, score, words)["few"]
    assert few.missed.value is None and few.bias.value is None
    assert not few.is_missed_more and not few.is_biased
    assert few.churned == 5


def test_one_segment_alone_has_no_others():
    target, score, _ = company()
    alone = reports(target, score, ["all"] * target.size)["all"]
    assert alone.missed.value is not None
    assert alone.missed_beyond_others.value is None


def test_rare_segments_are_put_together():
    words = np.array(["us"] * 5 + ["de"] * 3 + ["fr", None], dtype=object)
    assert merge_rare(words, 2).tolist() == ["us"] * 5 + ["de"] * 3 + ["others", "unknown"]


@pytest.mark.parametrize("module", [segments, blocks])
def test_the_examples_in_the_docstrings_run(module):
    assert doctest.testmod(module).failed == 0


SOME = [
    Heading("Card of a_model", 1),
    Paragraph("A <b> & *c*."),
    Grid(["what", "how many"], [["a|b", "1"], ["c_d", "2"]], right=["how many"]),
    Bullets(["one", "two"]),
    Picture("dots.png", "What it shows"),
]


def test_a_page_holds_its_pictures_and_escapes_what_is_no_markup(tmp_path):
    (tmp_path / "dots.png").write_bytes(b"\x89PNG dots")
    page = to_html(SOME, tmp_path)
    assert "<title>Card of a_model</title>" in page
    assert "A &lt;b&gt; &amp; *c*." in page
    assert '<td class="number">1</td>' in page and "<td>a|b</td>" in page
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert b64decode(data) == b"\x89PNG dots"
    # Nothing is fetched from anywhere.
    assert not re.search(r'(src|href)="(?!data:)', page) and "{" not in page.split("</style>")[1]


def test_markdown_keeps_cells_apart_and_points_to_the_pictures():
    text = to_markdown(SOME, "model_card_3")
    assert text.startswith("# Card of a\\_model\n\nA \\<b> & \\*c\\*.\n\n")
    assert "| what | how many |\n| --- | ---: |\n| a\\|b | 1 |\n| c\\_d | 2 |" in text
    assert "- one\n- two" in text
    assert "![What it shows](model_card_3/dots.png)" in text


FEATURES = {
    "logins": Feature("logins", "integer", "engagement", unit="count"),
    "plan": Feature("plan", "varchar", "contract"),
    "flag": Feature("flag", "boolean", "contract"),
    "empty": Feature("empty", "integer", "support", unit="days"),
    "unused": Feature("unused", "integer", "support"),
}


def looked_at(rows=200):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "logins": np.where(rng.random(rows) < 0.1, np.nan, rng.poisson(3, rows)),
            "plan": pd.Series(rng.choice(["basic", "pro", None], rows), dtype=object),
            "flag": rng.integers(0, 2, rows).astype(float),
            "empty": np.nan,
            "unused": 1.0,
        }
    )
    values = rng.normal(size=(rows, 5)) * [1.0, 0.5, 0.3, 0.1, 0.0]
    return Contributions(tuple(FEATURES), values, np.zeros(rows)), frame


def test_features_are_ordered_by_the_size_of_what_they_add():
    parts, _ = looked_at()
    assert pictures.by_strength(parts) == [0, 1, 2, 3]
    np.testing.assert_allclose(pictures.strengths(parts), np.abs(parts.values).mean(axis=0))


@pytest.mark.parametrize("rows", [1, 200])
def test_pictures_are_drawn_of_nulls_categories_and_single_rows(rows, tmp_path):
    parts, frame = looked_at(rows)
    target, score, words = company(count=400)
    by_kind = tuple(reports(target, score, words).values())
    for name, figure in {
        "importance": pictures.importance(parts, FEATURES),
        "beeswarm": pictures.beeswarm(parts, frame, FEATURES),
        "dependence": pictures.dependence(parts, frame, FEATURES),
        "missed": pictures.missed(by_kind, 0.6, 0.2),
    }.items():
        figure.savefig(tmp_path / name, format="png")
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    names = [
        text.get_text() for text in pictures.importance(parts, FEATURES).axes[0].get_yticklabels()
    ]
    assert sorted(names) == ["empty", "flag", "logins", "plan"]
