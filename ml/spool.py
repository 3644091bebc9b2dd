"""Record batches that wait on the disk for their turn, so that memory need not hold them."""

from collections.abc import Iterator
from typing import IO

import pyarrow as pa


class Spool:
    """Batches of one schema in a file.

    Parameters
    ----------
    file
        Open for writing and reading, and empty; whoever opened it closes it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._writer: pa.RecordBatchWriter | None = None

    def append(self, batch: pa.RecordBatch) -> None:
        """Write one more batch; all have the first one's schema."""
        if self._writer is None:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_stream(self._file, batch.schema, options=options)
        self._writer.write_batch(batch)

    def read(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches as they were appended, one in memory at a time; none comes after."""
        if self._writer is None:
            return
        self._writer.close()
        self._file.seek(0)
        yield from pa.ipc.open_stream(self._file)
