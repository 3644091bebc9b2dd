"""From features to columns of numbers: one encoder for each way a family wants to see them.

Whatever is fitted here (codes, medians, scales) is fitted on the training rows and saved with the
model.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from ml.contract import kind_of
from ml.families.protocol import ENCODE

Floats = NDArray[np.float64]

# A category seen in fewer training rows than this is put with the other rare ones; so are all
# beyond the most frequent thirty. Finer levels are memorised, not learnt.
_RARE_CATEGORY_ROWS = 50
_MOST_CATEGORIES = 30
_NUMBERS, _CATEGORIES, _IMPUTE = "numbers", "categories", "impute"


def split_types(types: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the names of numbers and booleans, and those of categories."""
    categories = [name for name, kind in types.items() if kind_of(name, kind) == "category"]
    numbers = [name for name in types if name not in set(categories)]
    return numbers, categories


def coded(types: Mapping[str, str]) -> tuple[ColumnTransformer, tuple[int, ...]]:
    """Return numbers as they are and categories as codes, with the positions of the codes.

    For trees that know null and categories. A category not seen in training reads as null.
    """
    numbers, categories = split_types(types)
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        min_frequency=_RARE_CATEGORY_ROWS,
        max_categories=_MOST_CATEGORIES,
    )
    encode = _columns((_NUMBERS, "passthrough", numbers), (_CATEGORIES, codes, categories))
    return encode, tuple(range(len(numbers), len(types)))


def spread(types: Mapping[str, str]) -> ColumnTransformer:
    """Return numbers as they are and a column for every category.

    For trees that know null but no categories. A category not seen in training reads as one of
    the rare ones.
    """
    numbers, categories = split_types(types)
    return _columns((_NUMBERS, "passthrough", numbers), (_CATEGORIES, _one_hot(), categories))


def filled(types: Mapping[str, str]) -> ColumnTransformer:
    """Return what `spread` does with the median for null, and a flag where something was null."""
    numbers, categories = split_types(types)
    of_numbers = Pipeline([(_IMPUTE, _median())])
    return _columns((_NUMBERS, of_numbers, numbers), (_CATEGORIES, _one_hot(), categories))


def scaled(types: Mapping[str, str]) -> ColumnTransformer:
    """Return what `filled` does, in standard deviations of the signed logarithm.

    For sums of weighted columns. Amounts and counts are heavy-tailed; the signed logarithm keeps
    the largest customers from ruling the fit.
    """
    numbers, categories = split_types(types)
    of_numbers = Pipeline(
        [
            ("logarithm", FunctionTransformer(signed_log, feature_names_out="one-to-one")),
            (_IMPUTE, _median()),
            ("scale", StandardScaler()),
        ]
    )
    return _columns((_NUMBERS, of_numbers, numbers), (_CATEGORIES, _one_hot(), categories))


def signed_log(values: Floats) -> Floats:
    """Return `sign(x) * log(1 + |x|)`; null stays null."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def encoded_sources(pipeline: Pipeline) -> list[str]:
    """Return the feature that each encoded column of a fitted pipeline comes from."""
    encode: ColumnTransformer = pipeline.named_steps[ENCODE]
    sources: list[str] = []
    for _, transformer, columns in encode.transformers_:
        if not columns:
            continue
        if isinstance(transformer, Pipeline):
            indicator = transformer.named_steps[_IMPUTE].indicator_
            flagged = [] if indicator is None else list(indicator.features_)
            sources += [*columns, *(columns[position] for position in flagged)]
        elif isinstance(transformer, OneHotEncoder):
            for position, column in enumerate(columns):
                sources += [column] * _one_hot_columns(transformer, position)
        else:
            sources += columns
    return sources


def _columns(*parts: tuple[str, object, list[str]]) -> ColumnTransformer:
    return ColumnTransformer(list(parts), sparse_threshold=0)


def _median() -> SimpleImputer:
    return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)


def _one_hot() -> OneHotEncoder:
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=_RARE_CATEGORY_ROWS,
        max_categories=_MOST_CATEGORIES,
        sparse_output=False,
    )


def _one_hot_columns(encoder: OneHotEncoder, position: int) -> int:
    levels = len(encoder.categories_[position])
    rare = encoder.infrequent_categories_[position]
    return levels if rare is None else levels - len(rare) + 1
