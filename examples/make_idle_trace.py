"""Writes idle.json.gz: what a PyTorch profiler would record of a decoder whose GPU waits 40 % of each step.

It is made, not measured: a model of one billion parameters.

python examples/make_idle_trace.py
"""

import gzip
import json
from pathlib import Path

LAYER = ("rms_norm", "qkv_gemv", "flash_fwd_kernel", "out_gemv", "rms_norm", "gate_up_gemv", "silu_mul", "down_gemv")
STREAMING = 2.48e9 / (3.35e12 * 0.9) * 1e6  # us: the step's bytes at 0.9 of the bandwidth of an H100
WEIGHTS = {"qkv_gemv": 6.3, "out_gemv": 4.2, "gate_up_gemv": 33.6, "down_gemv": 16.8}  # millions in a layer
HEAD = 262.7
FLOOR = 3.0  # us of each kernel in which the memory stands still
GAP = 6.2  # us between kernels, since a busy host launches each


def main() -> None:
    """Write three steps, each kernel with its launch."""
    total = 16 * sum(WEIGHTS.values()) + HEAD
    step = [
        ("embedding", 0.0),
        *((name, WEIGHTS.get(name, 0.0)) for _ in range(16) for name in LAYER),
        ("rms_norm", 0.0),
        ("lm_head_gemv", HEAD),
        ("argmax", 0.0),
    ]
    events, now, number = [], 1000.0, 0
    for _ in range(3):
        for name, weights in step:
            number += 1
            duration = round(FLOOR + STREAMING * weights / total, 3)
            correlation = {"correlation": number}
            events.append(
                {
                    "ph": "X",
                    "cat": "cuda_runtime",
                    "name": "cudaLaunchKernel",
                    "pid": 1,
                    "tid": 1,
                    "ts": round(now - 5, 3),
                    "dur": 2,
                    "args": correlation,
                }
            )
            events.append(
                {
                    "ph": "X",
                    "cat": "kernel",
                    "name": name,
                    "pid": 0,
                    "tid": 7,
                    "ts": round(now, 3),
                    "dur": duration,
                    "args": {"device": 0, "stream": 7, **correlation},
                }
            )
            now += duration + GAP
        now += 300.0
    trace = {"deviceProperties": [{"id": 0, "name": "NVIDIA H100 80GB HBM3"}], "traceEvents": events}
    text = json.dumps(trace, separators=(",", ":")).encode()
    Path(__file__).with_name("idle.json.gz").write_bytes(gzip.compress(text, mtime=0))


if __name__ == "__main__":
    main()
