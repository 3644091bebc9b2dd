"""The command ``holdfast explain``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from ml.errors import UsageError
from ml.progress import Steps
from ml.settings import Settings
from ml.terminal import HERE, AsJson, ProjectDir, Target, Vars, execute


def explain(
    customer: Annotated[
        str | None, typer.Argument(metavar="CUSTOMER", help="The customer's id.")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            formats=["%Y-%m-%d"],
            help="The as-of date; without it, the customer's newest.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="VERSION|ALIAS", help="The version; the champion without it."),
    ] = None,
    card: Annotated[
        bool,
        typer.Option("--card", help="Write the version's model card instead, with its pictures."),
    ] = False,
    project_dir: ProjectDir = HERE,
    target: Target = None,
    vars: Vars = "{}",
    as_json: AsJson = False,
) -> None:
    """Say why a customer has its score, feature by feature, and what it was before."""

    def work(settings: Settings, steps: Steps) -> tuple[Any, RenderableType]:
        if card == (customer is not None) or (card and as_of is not None):
            raise UsageError(
                "Name a customer, `holdfast explain CUSTOMER`, or ask for the model's card, "
                "`holdfast explain --card`: one of them."
            )
        if customer is None:
            return _card(settings, steps, model)
        return _customer(settings, steps, customer, as_of, model)

    execute(work, project_dir, target, vars, as_json)


def _customer(
    settings: Settings, steps: Steps, customer: str, as_of: datetime | None, model: str | None
) -> tuple[Any, RenderableType]:
    from ml.explaining.customer import explain_customer
    from ml.explaining.render import of_customer

    with steps.step("Explain the customer") as step:
        result = explain_customer(
            settings,
            customer,
            as_of=as_of.date() if as_of else None,
            model=model,
            progress=step.progress,
        )
    return result, of_customer(result)


def _card(settings: Settings, steps: Steps, model: str | None) -> tuple[Any, RenderableType]:
    from ml.card.write import write_card
    from ml.explaining.customer import version_of
    from ml.promotion.versions import open_registry
    from ml.terminal import pairs_of

    with steps.step("Write the model's card") as step:
        store = open_registry(settings)
        version = version_of(settings, store, model)
        written = write_card(settings, store, version, progress=step.progress)
    return written, pairs_of(written)
