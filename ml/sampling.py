"""Which customers a training reads where gold holds more rows than it may take into memory.

Whole customers are taken, by a hash of the key: the same ones on every engine and in every run, and
a smaller sample's customers are among a larger one's. Each is as likely as any other, so shares,
rates and curves of the sample estimate those of all rows, with wider intervals; what adds up over
rows is brought back by `weight`.
"""

from dataclasses import dataclass
from datetime import datetime

from ml.warehouse import Warehouse

_HASHES = 1 << 32


@dataclass(frozen=True)
class CustomerSample:
    """Customers whose key's hash is below a bound.

    Attributes
    ----------
    hashes
        The bound: of 2**32 equally likely hashes, those that are in.
    """

    hashes: int = _HASHES

    @property
    def is_all(self) -> bool:
        """Whether nobody is left out."""
        return self.hashes >= _HASHES

    @property
    def share(self) -> float:
        """The share of customers that is read, above 0 and at most 1."""
        return self.hashes / _HASHES

    @property
    def weight(self) -> float:
        """How many rows of all each row of the sample stands for, 1 or more."""
        return 1 / self.share

    @property
    def condition(self) -> str:
        """The sample as a condition in SQL on `customer_id`."""
        # Eight hexadecimal digits in lower case sort alike by any collation.
        return "true" if self.is_all else f"substr(md5(customer_id), 1, 8) < '{self.hashes:08x}'"


EVERYBODY = CustomerSample()


def choose_sample(
    warehouse: Warehouse, most_rows: int, *, known_until: datetime | None = None
) -> CustomerSample:
    """Return the customers of gold.training_set that have about `most_rows` rows; all, if fewer.

    Parameters
    ----------
    known_until
        Count the rows whose label was known by this moment; None: all.
    """
    found = warehouse.query(
        "select count(*) as rows from gold.training_set "
        "where ($1 is null or label_known_at <= cast($1 as timestamp))",
        [known_until],
    ).to_pylist()
    rows = int(found[0]["rows"])
    return EVERYBODY if rows <= most_rows else CustomerSample(max(1, most_rows * _HASHES // rows))
