"""The commands of ``holdfast audit``."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="audit",
    help="Prove that gold has not seen the future, and that every build agrees with every other.",
    no_args_is_help=True,
)
