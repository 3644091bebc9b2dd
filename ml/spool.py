"""Record batches that wait on the disk for their turn, so that memory need not hold them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa


class Spool:
    """Batches of one schema in a file that has no name and is gone with the `with` block.

    Parameters
    ----------
    folder
        Whose disk the file lies on.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._writer: pa.RecordBatchWriter | None = None

    def __enter__(self) -> Self:
        """Return itself; the file is there already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the file go, whatever happened."""
        self._file.close()

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
