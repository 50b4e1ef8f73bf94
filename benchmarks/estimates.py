"""In-process estimates a second on one core: both sides, their bounds, and the speed-up's interval.

Every estimate asks another batch and context. Printed beside a bare Python loop of the same machine,
since machines differ and are noisy. Goals: 20,000 a second on one H100 (1,000 turns of the bare loop each), 14,000 on
eight, 16,000 for the megakernel and for eight SN40L; the first estimate of Llama under 10 ms, of DeepSeek-V3 under 80
ms.
"""

import time

from perfmodel import estimate, find_hardware, find_model

CASES = (
    ("llama-3.1-8b", "h100-sxm", {}),
    ("llama-3.1-8b", "h100-sxm", {"devices": 8}),
    ("llama-3.1-8b", "h100-sxm", {"after": "megakernel"}),
    ("llama-3.1-8b", "sn40l", {"devices": 8}),
)
FIRST = (("llama-3.1-8b", "h100-sxm", 1), ("deepseek-v3", "h100-sxm", 8))
COUNT = 3000
ROUNDS = 5


def rate(model: str, hardware: str, options: dict) -> float:
    start = time.perf_counter()
    for i in range(COUNT):
        estimate(model, hardware, batch=1 + i % 7, context=1000 + i, **options)
    return COUNT / (time.perf_counter() - start)


def first(model: str, hardware: str, devices: int) -> float:
    """Return the time of the first estimate of a question [s], model and device read before."""
    find_model(model), find_hardware(hardware)
    start = time.perf_counter()
    estimate(model, hardware, devices=devices)
    return time.perf_counter() - start


def bare_loop() -> float:
    start = time.perf_counter()
    total = 0.0
    for i in range(1_000_000):
        total += i * 1.5
    return 1e6 / (time.perf_counter() - start)


def main() -> None:
    estimate("qwen3-8b", "a100-sxm-80gb")  # what any question loads
    for model, hardware, devices in FIRST:
        print(f"first estimate of {model} on {devices} x {hardware}: {first(model, hardware, devices) * 1e3:.1f} ms")
    loop = max(bare_loop() for _ in range(ROUNDS))
    print(f"{'bare Python loop':44s} {loop:12,.0f} turns/s")
    for model, hardware, options in CASES:
        rate(model, hardware, options)  # the first estimates prepare the question
        best = max(rate(model, hardware, options) for _ in range(ROUNDS))
        label = f"{model} {hardware} " + " ".join(f"{k}={v}" for k, v in options.items())
        print(f"{label:44s} {best:12,.0f} estimates/s, one in {loop / best:6,.0f} turns")


if __name__ == "__main__":
    main()
