# ruff: noqa: INP001
"""What the fit sees of each row: counts of the package's own schedule, as arrays over the rows.

Imported by fit.py. A row whose calls are fused is left out: those modes have constants of their own.
"""

import math
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import msgspec
import numpy as np

from perfmodel.equations import further_tokens, further_tokens_time
from perfmodel.errors import PerfModelError
from perfmodel.estimates.counts import StageCounts, counts_at
from perfmodel.estimates.memoryparameters import sustained_names
from perfmodel.estimates.prepared import prepare
from perfmodel.measurements.rows import Row
from perfmodel.measurements.stacks import row_formats, software_of_row, stated_settings, why_apart
from perfmodel.operations.work import ACTIVATIONS, CACHE, split_kind
from perfmodel.specifications.catalogue import find_hardware, find_model
from perfmodel.specifications.formats import STORAGE_FORMATS
from perfmodel.specifications.hardware import Hardware
from perfmodel.specifications.software import GPU_VENDORS, Software, find_software, with_software

# Most tokens that ggml's kernels for few take (MMVQ_MAX_BATCH_SIZE of ggml-cuda/mmvq.cuh).
MOST_COLUMNS = 8
# Tokens up to which its kernels for Metal read experts for each token apart (ne21_mm_id_min of
# ggml-metal/ggml-metal-ops.cpp).
EXPERTS_APART = 31
# Software whose host plans a step while the one before runs, so that a step takes the longer of both.
PLANS_AHEAD = ("server-2026",)


@lru_cache(maxsize=64)
def structure(software: Software) -> Software:
    """Return software without its fitted values: how its kernels are cut, and nothing more."""
    return msgspec.structs.replace(
        software, values={}, on={name: ({}, modes) for name, (_, modes) in software.on.items()}
    )


class Observations:
    """Rows as arrays. Times in seconds, bytes, FLOP; one line for each row and kind of call in `calls`."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows: list[Row] = []
        self.refused: Counter[str] = Counter()
        lines: list[tuple[float, ...]] = []
        singles: list[tuple[float, ...]] = []
        self.software: list[str] = []
        self.architecture: list[str] = []
        self.mode: list[str] = []
        self.format: list[str] = []
        for row in rows:
            if why_apart(row):
                self.refused["stands apart"] += 1
                continue
            try:
                seen = self._seen(row)
            except PerfModelError as error:
                self.refused[str(error).partition(";")[0][:80]] += 1
                continue
            if seen is None:
                self.refused["fused calls"] += 1
                continue
            number = len(self.rows)
            self.rows.append(row)
            single, calls, names = seen
            singles.append(single)
            lines += [(number, *call) for call in calls]
            software, architecture, mode, storage = names
            self.software.append(software)
            self.architecture.append(architecture)
            self.mode.append(mode)
            self.format.append(storage)
        self.source = [row.source_id for row in self.rows]
        self.machine = [f"{row.source_id} {row.hardware}" for row in self.rows]
        self.ahead = np.array([float(name in PLANS_AHEAD) for name in self.software])
        self.logarithm = np.log([row.time_per_step for row in self.rows])
        columns = np.array(singles).T
        self.boundary, self.calls_made, self.matrices, self.experts = columns[:4]
        self.exchanges, self.exchange_time, self.doublings, self.sequences = columns[4:8]
        self.bandwidth, self.units, self.arithmetic, self.sustained = columns[8:12]
        self.sustained_narrow, self.sustained_cache, self.columns = columns[12:15]
        table = np.array(lines).T
        self.of = table[0].astype(int)
        self.flops, self.plain, self.narrow, self.cache, self.moved, self.row_flops = table[1:7]

    @staticmethod
    def _seen(row: Row) -> tuple[tuple[float, ...], list[tuple[float, ...]], tuple[str, str, str, str]] | None:
        model, device = find_model(row.model), find_hardware(row.hardware)
        software = find_software(software_of_row(row))
        # A library that the row itself states is not fitted.
        stated = {path: told for path, told in stated_settings(row, device).items() if ".exchange" in path}
        hardware = with_software(device, structure(software)).replace_values(stated)
        mode = row.mode or hardware.default_mode
        side = prepare(model, hardware, row.devices_at_work(), row_formats(row, model), mode, mode, None).before
        if side.plan.fused_calls:
            return None
        numbers = side.parameters.values()
        rates, _, fixed, _ = side.parameters.costs(numbers)
        together: dict[str, list[float]] = {}
        vectors = device.values.get("arithmetic.fp32") if software.kind == "ggml" and side.plan.narrow else None
        columns = 0.0  # time of further sequences at an operation in vector units for each of a matrix [s]
        made, exchanges, exchange_time, widest = Counter[str](), 0.0, 0.0, 2
        narrow_bytes: Counter[str] = Counter()
        kinds = [_class_of(kind) for kind in side.plan.kinds]
        for call in counts_at(side.plan, row.batch, row.context):
            stage = call.segments[0][1][0]
            made[stage.matrix] += call.times
            if vectors is not None and stage.matrix == "matrix":
                further = further_tokens(MOST_COLUMNS, 1, max(stage.rows, 1))
                token = stage.flops / stage.rows
                columns += call.times * further_tokens_time(further, 0.0, 0.0, token, 1.0, vectors.value)
            line = together.setdefault(stage.matrix, [0.0] * 6)
            few, again = _kernels_for_few(software, device, stage)
            if stage.matrix and not few:
                # Operations of one row, of which a tile has so many.
                line[5] += call.times * stage.flops / stage.rows_at_work()
            line[2] += call.times * again
            line[0] += call.times * stage.flops
            for kind, size in zip(kinds, stage.bytes, strict=True):
                column = {"plain": 1, "kv": 3, "activations": 4}.get(kind, 2)
                line[column] += call.times * size
                if column == 2:
                    narrow_bytes[kind] += call.times * size
            for position, payload in stage.payloads:
                exchanges += call.times
                widest = max(widest, side.plan.collectives[position][1])
                for leg in rates.collectives[position]:
                    exchange_time += call.times * min(r.latency + payload * r.traffic_factor / r.bandwidth for r in leg)
        storage = narrow_bytes.most_common(1)[0][0] if narrow_bytes else "none"
        count = device.values.get("units.count")
        units = count.value if count is not None and device.vendor in GPU_VENDORS else 1e9
        single = (
            fixed.boundary, side.plan.kernel_calls, made["matrix"], made["experts"],
            0.0 if stated else exchanges, exchange_time, math.log2(widest) - 1, side.plan.parallel.sequences(row.batch),
            device.values["memory.bandwidth"].value, units, rates.arithmetic * rates.arithmetic_share,
            device.values["memory.sustained.weights"].value, _share(hardware, mode, storage), _share(hardware, mode,
            CACHE), columns,
        )  # fmt: skip
        calls = [tuple(line) for line in together.values()]
        return single, calls, (software.name, (*device.architectures, "generic")[0], mode, storage)


def _kernels_for_few(software: Software, device: Hardware, stage: StageCounts) -> tuple[bool, float]:
    """Return whether a stage has a kernel for few tokens, and the bytes of experts that it reads more than once [B]."""
    if software.kind != "ggml":
        return False, 0.0
    if stage.matrix != "experts" or "apple" not in device.architectures:
        return stage.new <= MOST_COLUMNS, 0.0
    return stage.new <= EXPERTS_APART, sum(again for _, again in stage.read_again(EXPERTS_APART))


def _share(hardware: Hardware, mode: str, storage: str) -> float:
    """Return what the device's memory sustains of one kind of bytes [-]."""
    own = hardware.mode_value(mode, "kv") if storage == CACHE else None
    if own is not None:
        return own[1].value
    names = ("quantised", "weights") if storage == "none" else sustained_names(storage)
    return next(hardware.values[p].value for p in (f"memory.sustained.{n}" for n in names) if p in hardware.values)


def _class_of(kind: str) -> str:
    """Return the class of a kind of bytes: plain (16 bits and more), kv, activations, or its own storage format."""
    storage = split_kind(kind)[1]
    if storage == CACHE:
        return "kv"
    if storage == ACTIVATIONS:
        return "activations"
    if STORAGE_FORMATS[storage].bits >= 16:
        return "plain"
    # A dotted name cannot be the key of a share, so that these have what narrow formats have in general.
    return "none" if "." in storage else storage
