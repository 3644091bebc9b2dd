"""Fabric, which no test can reach, finds every macro that Spark needs."""

import re
from pathlib import Path

MACROS = Path(__file__).parents[2] / "macros"


def test_fabric_has_each_macro_of_spark() -> None:
    text = "\n".join(path.read_text() for path in MACROS.glob("**/*.sql"))
    spark, fabric = (
        set(re.findall(rf"macro {engine}__(\w+\([^)]*\))", text))
        for engine in ("spark", "fabricspark")
    )
    assert len(spark) > 10
    assert fabric == spark
