"""Make a Chrome trace of 200 MB in a temporary folder, read and summarise it, and print seconds and peak memory.

python benchmarks/read_trace.py [MEGABYTES]
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from perfmodel.traces import read_trace, summarise

LAYER = ("norm", "qkv", "rotary", "flash_fwd_kernel", "out", "norm_2", "gate_up", "activation", "down")
STEP = ("embed", *LAYER * 32, "norm", "head", "sample")


def write(path: Path, size: int) -> None:
    """Write steps of kernels with the host events that a profiler records beside them until `path` has `size` bytes."""
    written, number = 0, 0
    with path.open("w") as file:
        file.write('{"schemaVersion": 1, "deviceProperties": [{"id": 0, "name": "made"}], "traceEvents": [\n')
        while written < size:
            for name in STEP:
                written += file.write(",\n" * bool(number) + events(name, number))
                number += 1
        file.write('\n], "traceName": "made"}\n')


def events(name: str, number: int) -> str:
    """Return one kernel, its launch, and the operator and Python function around it."""
    start = 1_700_000_000_000_000 + 6 * number
    grid = {
        "grid": [17888, 1, 1],
        "block": [128, 1, 1],
        "registers per thread": 16,
        "shared memory": 0,
        "warps per SM": 542.06,
        "est. achieved occupancy %": 100,
    }
    records = (
        (
            "kernel",
            f"void {name}<{{lambda(float)#1}}, std::array<char*, 2ul>>(int, char const*)",
            0,
            7,
            start,
            4.5,
            {"device": 0, "stream": 7, "correlation": number, **grid},
        ),
        (
            "cuda_runtime",
            "cudaLaunchKernel",
            1,
            1,
            start - 20,
            3.0,
            {"External id": number, "cbid": 211, "correlation": number},
        ),
        (
            "cpu_op",
            "aten::mm",
            1,
            1,
            start - 25,
            9.0,
            {
                "External id": number,
                "Input Dims": [[1, 4096], [4096, 4096]],
                "Input type": ["c10::BFloat16", "c10::BFloat16"],
                "Ev Idx": number,
            },
        ),
        (
            "python_function",
            "torch/nn/modules/module.py(1740): _call_impl",
            1,
            1,
            start - 26,
            11.0,
            {"Python parent id": 5, "Python id": number, "Ev Idx": number},
        ),
    )
    return ",\n".join(
        json.dumps({"ph": "X", "cat": c, "name": n, "pid": p, "tid": t, "ts": s, "dur": d, "args": a})
        for c, n, p, t, s, d, a in records
    )


def main() -> None:
    """Make, read, summarise, print."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        write(path, megabytes * 1_000_000)
        started = time.perf_counter()
        trace = read_trace(path)
        read = time.perf_counter()
        summary = summarise(trace)
        done = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        print(
            f"{path.stat().st_size / 1e6:.0f} MB, {len(trace.kernels):,} kernels, {summary.steps_found} steps of "
            f"{summary.layers} layers"
        )
        print(f"read {read - started:.1f} s, summarise {done - read:.1f} s, peak memory {peak / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
