"""Sweeps over many machines, by Dask: a grid cut into ranges of rows, each a Parquet file of a folder.

Which rows a partition holds follows from the grid alone, so nothing of it is ever written down, and a grid may
have hundreds of billions of points. A worker writes its file under a hidden name and renames it when it is whole;
what a lost worker had begun is begun anew by another. The manifest appears last, when every partition is there.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from perfmodel.errors import PerfModelError, StoppedError, shown
from perfmodel.report.files.blocks import write_blocks
from perfmodel.report.files.delimited import to_json
from perfmodel.report.files.rowfiles import parquet_library
from perfmodel.report.files.whole import write_whole
from perfmodel.sweeps.columns import Grid, block_columns
from perfmodel.sweeps.grids import block_at, block_count
from perfmodel.sweeps.summaries import assumptions, fingerprint, specification_hashes

MANIFEST = "manifest.json"
# Blocks of one partition, some two million rows; more where there would be too many files.
_BLOCKS = 16
_MOST_FILES = 100_000
_LOCAL = "local"
_PATIENCE = 20  # seconds to reach a scheduler


class _Cut(msgspec.Struct, frozen=True):
    """How a grid is cut. question: its hash; blocks: of one partition, and of the whole."""

    question: str
    blocks: int
    of: int

    @property
    def count(self) -> int:
        """How many partitions there are."""
        return -(-self.of // self.blocks)

    def part(self, i: int) -> range:
        """The blocks of partition `i`."""
        return range(i * self.blocks, min((i + 1) * self.blocks, self.of))


def partition_name(i: int) -> str:
    """Return the name of the file of partition `i`."""
    return f"part-{i:07d}.parquet"


def sweep_on_cluster(
    grid: Grid,
    folder: Path,
    address: str,
    *,
    command: str = "",
    resume: bool = False,
    report: Callable[[int, int], None] | None = None,
    blocks: int = _BLOCKS,
) -> Path:
    """Work a grid out on a Dask cluster into `folder` and return the path of its manifest.

    folder: must be seen by every worker under this path.
    address: of a scheduler, such as tcp://host:8786, or "local" for a worker on each core of this machine.
    resume: keep the partitions that an interrupted run of the same grid left whole.
    report: is told after each partition how many are done, and of how many. blocks: of the grid in one partition.
    Raises PerfModelError, with one line that says what can be done.
    """
    distributed = _distributed()
    parquet_library()
    of = block_count(grid.counts)
    cut = _Cut(fingerprint(grid, "partitions"), max(blocks, -(-of // _MOST_FILES)), of)
    folder = folder.resolve()
    _claim(folder, cut, resume=resume)
    rows = {
        i: found for i in range(cut.count) if resume and (found := _rows_of(folder / partition_name(i))) is not None
    }
    missing = (i for i in range(cut.count) if i not in rows)
    bare = msgspec.structs.replace(grid, questions={})
    with _stopped(folder, rows, cut), _client(distributed, address) as client:
        for i, count in _worked_out(distributed, client, bare, folder, cut, missing):
            if not (folder / partition_name(i)).exists():
                raise PerfModelError(
                    f"{folder}: a worker wrote {partition_name(i)}, which is not seen here; give a folder that all"
                    " machines share"
                )
            rows[i] = count
            if report is not None:
                report(len(rows), cut.count)
    for left in folder.glob(".part-*"):
        with contextlib.suppress(OSError):
            left.unlink()
    return _finish(grid, folder, cut, rows, command)


@contextlib.contextmanager
def _stopped(folder: Path, rows: dict[int, int], cut: _Cut) -> Iterator[None]:
    """Say of an interrupted sweep what is kept; rows: of the partitions that are whole."""
    try:
        yield
    except KeyboardInterrupt:
        raise StoppedError(
            f"{shown(str(folder))} keeps {len(rows):,} of {cut.count:,} partitions, and hidden .part-* files that"
            " workers had begun, which the next run takes away; the same line with --resume goes on from there"
        ) from None


def _distributed() -> Any:
    try:
        return import_module("distributed")
    except ImportError:
        raise PerfModelError(
            "--dask: needs dask.distributed, which is not installed: pip install 'perfmodel[dask]'"
        ) from None


def _claim(folder: Path, cut: _Cut, *, resume: bool) -> None:
    """Make the folder this sweep's own: empty, or holding partitions of the same one."""
    state = folder / ".sweep.state"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            found = _cut_of(state)
            if not resume:
                raise PerfModelError(
                    f"-o: {shown(str(folder))} is not empty; give another folder, or --resume to go on with what is"
                    " there"
                )
            if found is None:
                raise PerfModelError(
                    f"--resume: {shown(str(folder))} holds no interrupted sweep; give the folder of one, or an empty"
                    " one without --resume"
                )
            if found != cut:
                raise PerfModelError(
                    f"--resume: {shown(str(folder))} belongs to another question; ask that one, or give another folder"
                )
        write_whole(state, to_json(msgspec.to_builtins(cut)))
    except OSError as error:
        raise PerfModelError(f"{folder}: cannot be written: {error.strerror or error}") from None


def _cut_of(state: Path) -> _Cut | None:
    try:
        return msgspec.json.decode(state.read_bytes(), type=_Cut)
    except (OSError, msgspec.MsgspecError):
        return None


def _rows_of(path: Path) -> int | None:
    """Return how many rows a partition holds, None where it is not whole."""
    arrow, parquet = parquet_library()
    if not path.exists():
        return None
    try:
        return int(parquet.read_metadata(path).num_rows)
    except (OSError, arrow.ArrowException):
        return None


@contextlib.contextmanager
def _client(distributed: Any, address: str) -> Iterator[Any]:
    """Connect to a scheduler; "local" starts one with a worker on each core."""
    import logging

    with contextlib.ExitStack() as stack:
        if address == _LOCAL:
            address = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=os.cpu_count() or 1,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            )
        try:
            client = stack.enter_context(distributed.Client(address, timeout=_PATIENCE))
        except (OSError, ValueError, TypeError) as error:
            raise PerfModelError(
                f"--dask: {shown(str(address))} cannot be reached: {error or 'no answer'}; give the address of a"
                " scheduler, such as tcp://host:8786, or local"
            ) from None
        yield client


def _worked_out(
    distributed: Any, client: Any, grid: Grid, folder: Path, cut: _Cut, missing: Iterator[int]
) -> Iterator[tuple[int, int]]:
    """Yield partitions with their rows as workers finish them; a few more than there are threads wait at any time."""
    # A grid made by a task can be made again when the worker that holds it is lost.
    shared = client.submit(_same, grid, pure=False)
    waiting = distributed.as_completed()
    left = True
    while left or waiting.count():
        while left and waiting.count() < 4 * max(1, sum(client.nthreads().values())):
            i = next(missing, None)
            if i is None:
                left = False
            else:
                waiting.add(client.submit(_write_partition, shared, str(folder), i, tuple(cut.part(i)), pure=False))
        if not waiting.count():
            return
        try:
            yield next(waiting).result()
        except distributed.KilledWorker as error:
            raise PerfModelError(
                f"--dask: one partition has ended several workers, the last {error.last_worker.address}; see its log"
                " for why, then --resume"
            ) from None


def _same(grid: Grid) -> Grid:
    return grid


def _write_partition(grid: Grid, folder: str, i: int, blocks: tuple[int, ...]) -> tuple[int, int]:
    """Write one partition; return its number and rows."""
    # Threads of a worker share the grid, but not what is prepared on the way.
    mine = msgspec.structs.replace(grid, questions={})
    rows = 0

    def block_of(place: int) -> dict[str, Any]:
        nonlocal rows
        found = block_columns(mine, block_at(mine.counts, blocks[place]))
        rows += len(next(iter(found.values())).values)
        return found

    write_blocks(
        Path(folder) / partition_name(i), "parquet", mine.columns, block_of, len(blocks), "", mark=f".{uuid4().hex}"
    )
    return i, rows


def _finish(grid: Grid, folder: Path, cut: _Cut, rows: dict[int, int], command: str) -> Path:
    from perfmodel._layout import __version__

    total = sum(rows.values())
    if total != grid.size:
        raise PerfModelError(
            f"{folder}: the partitions hold {total:,} rows, the grid {grid.size:,}; remove the folder and begin anew"
        )
    manifest = {
        "version": __version__,
        "command": command,
        "rows": total,
        "columns": list(grid.columns),
        "axes": {axis.name: axis.count for axis in grid.axes},
        "partitions": [{"file": partition_name(i), "rows": rows[i]} for i in range(cut.count)],
        "sha256": specification_hashes(grid),
        "questions": assumptions(grid),
    }
    path = folder / MANIFEST
    write_whole(path, to_json(manifest))
    return path
