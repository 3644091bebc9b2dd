"""The exceptions that Holdfast raises on purpose.

Every message says what was expected, what came, and what to do next.
"""


class HoldfastError(Exception):
    """Something the user can act on; the command line ends with exit code 1."""

    exit_code = 1


class UsageError(HoldfastError):
    """A command was called with words it does not know; exit code 2."""

    exit_code = 2


class DataError(HoldfastError):
    """The data cannot carry what was asked (no rows, one class, no mature label, ...)."""


class ContractError(HoldfastError):
    """Columns, types or values break the contract between two parts."""
