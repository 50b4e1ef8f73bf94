"""Time and record decode steps of a small real decoder on this GPU, and measure what perfmodel asks of a device.

    python record_decode.py [--model llama-3.2-1b] [--batch 1] [--context 1024] [--hardware NAME] [--out FOLDER]

Needs torch and a GPU, nothing else: weights are random, nothing is downloaded. It writes to FOLDER

    eager.json, compiled.json, graph.json   Chrome traces, for: perfmodel trace graph.json --model M --hardware H
    hardware.toml                           a device file with what was measured: perfmodel estimate M hardware.toml
    rows.csv                                steps timed without a profiler, for: perfmodel calibrate rows.csv

HARDWARE in rows.csv is NAME, a device of the catalogue, or the path of hardware.toml if none is given.
What cannot be measured here (no compiler, no run-time compilation) is left out and said in one line.
"""

import argparse
import csv
import io
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

COLUMNS = (
    "id",
    "source_id",
    "trust",
    "model",
    "hardware",
    "devices",
    "parallel",
    "weight_format",
    "weight_format_source",
    "kv_format",
    "batch",
    "context",
    "engine",
    "mode",
    "stack",
    "time_per_step",
    "class",
    "ladder",
    "settings",
    "source",
    "caveat",
)
BYTES = 2  # of a bf16 number


class Shapes(NamedTuple):
    """The shapes of a dense decoder with grouped-query attention and gated feed-forward blocks."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int
    vocabulary: int
    tied: bool


# By the name that the same shapes have in perfmodel's catalogue.
SHAPES = {
    "smollm2-135m": Shapes(30, 576, 9, 3, 64, 1536, 49152, tied=True),
    "llama-3.2-1b": Shapes(16, 2048, 32, 8, 64, 8192, 128256, tied=True),
    "llama-3.1-8b": Shapes(32, 4096, 32, 8, 128, 14336, 128256, tied=False),
}


class Line(NamedTuple):
    """T = seconds + V / rate: fixed part [s], rate [units of V per s], largest relative residual [-]."""

    seconds: float
    rate: float
    residual: float


class Spread(NamedTuple):
    """A measured value and the least and largest of its repeats, in base units."""

    low: float
    value: float
    high: float


class Step(NamedTuple):
    """A timed step: launch mode, stack, times [s] of repeats, what is odd about it."""

    mode: str
    stack: str
    times: Sequence[float]
    caveat: str = ""


class Machine(NamedTuple):
    """What was measured of a device. bandwidth [B/s] as sold; arithmetic [FLOP/s]; times [s];
    None where it could not be measured."""

    name: str
    capacity: int
    bandwidth: float
    bandwidth_source: str
    reads: Line
    read_rates: Mapping[int, float]
    arithmetic: Spread | None = None
    empty_kernel: Spread | None = None
    issue: Spread | None = None
    graph_node: Spread | None = None
    barrier: Spread | None = None


# Pure functions: no torch below this line until `main`.


def parameters(shapes: Shapes) -> int:
    """Return the parameters of a decoder, a tied embedding counted once."""
    attention = shapes.hidden * shapes.head_size * (2 * shapes.heads + 2 * shapes.kv_heads)
    layer = attention + 3 * shapes.hidden * shapes.feed_forward + 2 * shapes.hidden
    return shapes.layers * layer + shapes.hidden + shapes.vocabulary * shapes.hidden * (1 if shapes.tied else 2)


def bytes_per_step(shapes: Shapes, batch: int, context: int) -> int:
    """Return the bytes [B] that a step must read: each weight once but for the embedding, and the cache."""
    weights = parameters(shapes) - (0 if shapes.tied else shapes.vocabulary * shapes.hidden)
    return BYTES * (weights + 2 * batch * context * shapes.layers * shapes.kv_heads * shapes.head_size)


def bytes_needed(shapes: Shapes, batch: int, context: int) -> int:
    """Return the bytes [B] that weights and cache take on the device."""
    return BYTES * (parameters(shapes) + 2 * batch * context * shapes.layers * shapes.kv_heads * shapes.head_size)


def fit_line(volumes: Sequence[float], times: Sequence[float]) -> Line:
    """Fit T = a + V/b with equal weight on relative errors; a is not below 0.

    volumes: V, any unit; times: T [s]. Raises ValueError for fewer than two different volumes or times that do not grow
    with V.
    """
    if len(volumes) != len(times) or len(set(volumes)) < 2 or min(times, default=0.0) <= 0:
        raise ValueError("a line needs two different volumes, and a time above 0 for each")
    weights = [1 / time**2 for time in times]
    total = sum(weights)
    mean_volume = sum(w * v for w, v in zip(weights, volumes, strict=True)) / total
    mean_time = sum(w * t for w, t in zip(weights, times, strict=True)) / total
    square = sum(w * (v - mean_volume) ** 2 for w, v in zip(weights, volumes, strict=True))
    slope = (
        sum(w * (v - mean_volume) * (t - mean_time) for w, v, t in zip(weights, volumes, times, strict=True)) / square
    )
    start = mean_time - slope * mean_volume
    if start < 0:
        start = 0.0
        slope = sum(w * v * t for w, v, t in zip(weights, volumes, times, strict=True)) / sum(
            w * v * v for w, v in zip(weights, volumes, strict=True)
        )
    if slope <= 0:
        raise ValueError("the times do not grow with the volumes")
    residual = max(abs((start + slope * v) / t - 1) for v, t in zip(volumes, times, strict=True))
    return Line(start, 1 / slope, residual)


def spread(values: Sequence[float]) -> Spread:
    """Return the median of repeats with the least and largest of them."""
    return Spread(min(values), median(values), max(values))


def datasheet_bandwidth(clock_khz: int, bus_width_bits: int) -> float:
    """Return the bandwidth [B/s] of a memory with two transfers a clock, 0 where the driver does not say."""
    return 2 * clock_khz * 1e3 * bus_width_bits / 8


def hardware_toml(machine: Machine) -> str:
    """Return a device file for perfmodel: what was measured,
    and the defaults of a device of no known make for the rest."""
    best = max((machine.reads.rate, *machine.read_rates.values()))
    bandwidth = max(machine.bandwidth, best)
    typical = min(1.0, machine.reads.rate / bandwidth)
    low = min((typical, *(rate / bandwidth for rate in machine.read_rates.values())))
    sizes = ", ".join(f"{size / 1e6:.4g} MB {rate / 1e9:.4g} GB/s" for size, rate in sorted(machine.read_rates.items()))
    lines = [
        f"name = {_text(_slug(machine.name))}",
        f"title = {_text(machine.name)}",
        'status = "measured"',
        'inherits = "generic"',
        'default_mode = "graph"' if machine.graph_node else 'default_mode = "stream"',
        "",
        "[sources]",
        'here = "benchmarks/record_decode.py on this device"',
        f"sold = {_text(machine.bandwidth_source)}",
        "",
        "[memory]",
        f'bandwidth = {{ value = {_text(f"{bandwidth / 1e9:.6g} GB/s")}, kind = "derived", source = "sold" }}',
        f'capacity = {{ value = {_text(f"{machine.capacity} B")}, kind = "measured", source = "here" }}',
        "",
        "[memory.sustained]",
        f"# T = {machine.reads.seconds * 1e6:.3g} us + V / {machine.reads.rate / 1e9:.4g} GB/s",
        f"# within {machine.reads.residual:.1%}; by size: {sizes}",
        f"weights = {_range(Spread(low, typical, min(1.0, best / bandwidth)))}",
    ]
    if machine.arithmetic is not None:
        lines += [
            "",
            "[arithmetic]",
            f"bf16 = {_range(machine.arithmetic, 'FLOP/s')}",
            'sustained = { value = 1.0, kind = "measured", source = "here", note = "the rate above is measured" }',
        ]
    modes = {
        "eager": {"issue": machine.issue},
        "stream": {"bare": machine.empty_kernel},
        "graph": {"bare": machine.graph_node},
        "looped": {"stage": machine.barrier},
        "megakernel": {"stage": machine.barrier},
    }
    for mode, costs in modes.items():
        known = {key: cost for key, cost in costs.items() if cost is not None}
        if known:
            lines += ["", f"[modes.{mode}]", *(f"{key} = {_range(cost, 's')}" for key, cost in known.items())]
            # These two are no modes of a device of no known make.
            lines += {
                "graph": ['kernels = "engine"', 'base = "stream"'],
                "megakernel": ['kernels = "step"', 'base = "looped"'],
            }.get(mode, [])
    return "\n".join(lines) + "\n"


def rows_csv(
    model: str, hardware: str, batch: int, context: int, steps: Sequence[Step], device: str, versions: str
) -> str:
    """Return timed steps as CSV with the columns of validation/rows.csv, the median time of each [s]."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for number, step in enumerate(steps, 1):
        times = spread(step.times)
        around = f"{times.low * 1e3:.4g} to {times.high * 1e3:.4g} ms over {len(step.times)} repeats"
        writer.writerow(
            {
                "id": f"recorded-{number:04}",
                "source_id": "recorded",
                "trust": "A",
                "model": model,
                "hardware": hardware,
                "devices": 1,
                "weight_format": "bf16",
                "kv_format": "bf16",
                "batch": batch,
                "context": context,
                "engine": versions,
                "mode": step.mode,
                "stack": step.stack,
                "time_per_step": repr(times.value),
                "source": f"benchmarks/record_decode.py on {device}",
                "caveat": "; ".join(part for part in (step.caveat, around, "random weights") if part),
            }
        )
    return buffer.getvalue()


def _range(cost: Spread, unit: str = "") -> str:
    unit = f" {unit}" if unit else ""
    ends = ("low", "value", "high") if cost.low < cost.high else ("value",)
    numbers = ", ".join(f'{end} = "{float(f"{getattr(cost, end):.6g}")!r}{unit}"' for end in ends)
    return f'{{ {numbers}, kind = "measured", source = "here" }}'


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split()) or "device"


def _text(text: str) -> str:
    return '"' + "".join(c for c in text if c.isprintable()).replace("\\", "\\\\").replace('"', '\\"') + '"'


def read_sizes(free: int) -> list[int]:
    """Return the sizes [B] to read: from 1 MB by fours to an eighth of the free memory, 4 GiB at most."""
    most = min(free // 8, 4 << 30)
    sizes = [1 << 20]
    while sizes[-1] * 4 <= most:
        sizes.append(sizes[-1] * 4)
    return sizes


# From here on torch is there; each function takes the module as its first argument.


def make_step(
    torch: Any, shapes: Shapes, batch: int, context: int, device: str = "cuda"
) -> tuple[Callable[[Any], Any], Any]:
    """Return a function from token ids to the next token ids,
    with weights and a cache of `context` tokens on the device, and ids to begin with."""
    functional = torch.nn.functional
    options = {"device": device, "dtype": torch.bfloat16}

    def matrix(rows: int, columns: int) -> Any:
        return torch.randn(rows, columns, **options) / columns**0.5

    s = shapes
    queries, keys = s.heads * s.head_size, s.kv_heads * s.head_size
    embedding = matrix(s.vocabulary, s.hidden)
    head = embedding if s.tied else matrix(s.vocabulary, s.hidden)
    ones = torch.ones(s.hidden, **options)
    layers = [
        (
            matrix(queries + 2 * keys, s.hidden),
            matrix(s.hidden, queries),
            matrix(2 * s.feed_forward, s.hidden),
            matrix(s.hidden, s.feed_forward),
            torch.randn(batch, s.kv_heads, context, s.head_size, **options),
            torch.randn(batch, s.kv_heads, context, s.head_size, **options),
        )
        for _ in range(s.layers)
    ]
    angles = (context - 1) / 10000 ** (
        torch.arange(0, s.head_size, 2, device=device, dtype=torch.float32) / s.head_size
    )
    cosine, sine = torch.cos(angles).repeat(2).to(torch.bfloat16), torch.sin(angles).repeat(2).to(torch.bfloat16)
    position = torch.tensor([context - 1], device=device)

    def norm(x: Any) -> Any:
        return x * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-5).to(x.dtype) * ones

    def rotated(x: Any) -> Any:
        left, right = x.chunk(2, -1)
        return x * cosine + torch.cat((-right, left), -1) * sine

    def step(ids: Any) -> Any:
        x = functional.embedding(ids, embedding)
        for into, out, up, down, key_cache, value_cache in layers:
            q, k, v = functional.linear(norm(x), into).split((queries, keys, keys), -1)
            q = rotated(q.view(batch, 1, s.heads, s.head_size).transpose(1, 2))
            k = rotated(k.view(batch, 1, s.kv_heads, s.head_size).transpose(1, 2))
            key_cache.index_copy_(2, position, k)
            value_cache.index_copy_(2, position, v.view(batch, 1, s.kv_heads, s.head_size).transpose(1, 2))
            # Query heads of one key head as rows of one product: the cache is read once and not widened.
            rows = q.reshape(batch, s.kv_heads, s.heads // s.kv_heads, s.head_size)
            mixed = functional.scaled_dot_product_attention(rows, key_cache, value_cache)
            x = x + functional.linear(mixed.reshape(batch, 1, queries), out)
            gate, rise = functional.linear(norm(x), up).chunk(2, -1)
            x = x + functional.linear(functional.silu(gate) * rise, down)
        return functional.linear(norm(x), head).argmax(-1)

    return step, torch.zeros(batch, 1, device=device, dtype=torch.long)


def seconds(torch: Any, work: Callable[[], Any], *, times: int, repeats: int = 7) -> list[float]:
    """Return the time [s] of one `work` on the device, timed by events over `times` calls, for each repeat."""
    found = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        begin.record()
        for _ in range(times):
            work()
        end.record()
        end.synchronize()
        found.append(begin.elapsed_time(end) * 1e-3 / times)
    return found


def captured(torch: Any, work: Callable[[], Any]) -> Any:
    """Return `work` as a graph."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def record(torch: Any, work: Callable[[], Any], path: Path, steps: int = 8) -> None:
    """Write a Chrome trace of some steps, each marked decode_step."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(steps):
            with torch.profiler.record_function("decode_step"):
                work()
        torch.cuda.synchronize()
    profile.export_chrome_trace(str(path))


def empty_kernels(torch: Any) -> tuple[Spread, Spread]:
    """Return the time [s] of a tiny kernel when many are queued, and the host's time [s] to issue one."""
    tiny = torch.zeros(32, device="cuda")
    issue, device = [], []
    for _ in range(7):
        torch.cuda.synchronize()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda._sleep(50_000_000)  # some 30 ms in which the queue fills, so that the host is not waited for
        begin.record()
        start = time.perf_counter()
        for _ in range(500):
            tiny.add_(1)
        issue.append((time.perf_counter() - start) / 500)
        end.record()
        end.synchronize()
        device.append(begin.elapsed_time(end) * 1e-3 / 500)
    return spread(device[1:]), spread(issue[1:])


def graph_nodes(torch: Any) -> Spread:
    """Return the time [s] of a tiny kernel in a graph, from graphs of two lengths."""
    tiny = torch.zeros(32, device="cuda")

    def chain(length: int) -> Any:
        return captured(torch, lambda: [tiny.add_(1) for _ in range(length)])

    short, long = chain(100), chain(1100)
    pairs = zip(seconds(torch, short.replay, times=10), seconds(torch, long.replay, times=10), strict=True)
    return spread([(b - a) / 1000 for a, b in pairs][1:])


_BARRIER = """
extern "C" __global__ void barriers(unsigned int* counter, int rounds) {
    for (int round = 1; round <= rounds; ++round) {
        __syncthreads();
        if (threadIdx.x == 0) {
            __threadfence();
            atomicAdd(counter, 1u);
            while (*(volatile unsigned int*)counter < (unsigned int)round * gridDim.x) {}
            __threadfence();
        }
        __syncthreads();
    }
}
"""


def grid_barrier(torch: Any) -> Spread:
    """Return the time [s] of a barrier over a grid of one block a unit, which all run at once on an idle device."""
    compiled = torch.cuda._compile_kernel(_BARRIER, "barriers")
    units = torch.cuda.get_device_properties(0).multi_processor_count
    counter = torch.zeros(1, device="cuda", dtype=torch.int32)

    def launch(rounds: int) -> None:
        counter.zero_()
        compiled(grid=(units, 1, 1), block=(256, 1, 1), args=[counter, rounds])

    pairs = zip(seconds(torch, lambda: launch(10), times=1), seconds(torch, lambda: launch(1010), times=1), strict=True)
    return spread([(b - a) / 1000 for a, b in pairs][1:])


def read_times(torch: Any) -> dict[int, float]:
    """Return the time [s] to read buffers of several sizes [B] by a matrix-vector product or a sum, whichever is
    faster.

    As many buffers take turns as the last-level cache cannot hold.
    """
    free, _ = torch.cuda.mem_get_info()
    found: dict[int, float] = {}
    vector = torch.randn(1, 4096, device="cuda", dtype=torch.bfloat16)
    for size in read_sizes(free):
        buffers = [
            torch.randn(size // 8192, 4096, device="cuda", dtype=torch.bfloat16)
            for _ in range(max(1, min(512 << 20, free // 4) // size))
        ]
        found[size] = min(
            _read_time(torch, buffers, lambda b: torch.nn.functional.linear(vector, b)),
            _read_time(torch, buffers, lambda b: b.view(torch.float32).sum()),
        )
        del buffers
    return found


def _read_time(torch: Any, buffers: Sequence[Any], read: Callable[[Any], Any]) -> float:
    """Return the time [s] of one `read`, from a graph that reads each buffer in turn."""
    graph = captured(torch, lambda: [read(buffer) for buffer in buffers])
    return median(seconds(torch, graph.replay, times=3)) / len(buffers)


def arithmetic_rate(torch: Any) -> Spread:
    """Return the rate [FLOP/s] of a large bf16 matrix product."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    torch.mm(a, b)
    return spread([2 * 8192**3 / t for t in seconds(torch, lambda: torch.mm(a, b), times=5)])


def measure_machine(torch: Any) -> Machine:
    """Return what was measured of the device."""
    properties = torch.cuda.get_device_properties(0)
    times = read_times(torch)
    streamed = {size: t for size, t in times.items() if size >= 4 << 20}
    reads = fit_line(list(streamed), list(streamed.values()))
    sold = datasheet_bandwidth(getattr(properties, "memory_clock_rate", 0), getattr(properties, "memory_bus_width", 0))
    source = "memory clock and bus width that the driver states, two transfers a clock"
    if sold < 0.8 * reads.rate or sold > 3 * reads.rate:
        sold, source = (
            reads.rate / 0.92,
            "the driver does not state it: what large reads reach over 0.92, the usual share",
        )
    empty, issue = attempt("launch gap", lambda: empty_kernels(torch)) or (None, None)
    return Machine(
        properties.name,
        properties.total_memory,
        sold,
        source,
        reads,
        {size: size / t for size, t in streamed.items()},
        attempt("matrix products", lambda: arithmetic_rate(torch)),
        empty,
        issue,
        attempt("graph nodes", lambda: graph_nodes(torch)),
        attempt("grid barrier", lambda: grid_barrier(torch)),
    )


def measure_steps(torch: Any, shapes: Shapes, batch: int, context: int, folder: Path) -> list[Step]:
    """Time the decoder eager, compiled and in graphs, and record a trace of each."""
    step, ids = make_step(torch, shapes, batch, context)
    found: list[Step] = []

    def keep(mode: str, stack: str, work: Callable[[], Any], trace: str, caveat: str = "") -> None:
        for _ in range(3):
            work()
        found.append(Step(mode, stack, seconds(torch, work, times=10)[1:], caveat))
        attempt(f"trace of {stack}", lambda: record(torch, work, folder / f"{trace}.json"))
        report(f"{stack}: {median(found[-1].times) * 1e3:.4g} ms")

    with torch.inference_mode():
        keep("eager", "torch eager", lambda: step(ids), "eager")
        compiled = attempt("torch.compile", lambda: _warmed(torch.compile(step, dynamic=False), ids))
        if compiled is not None:
            keep("stream", "torch.compile", lambda: compiled(ids), "compiled")
        in_graph, caveat = (step, "the kernels of eager mode in a graph") if compiled is None else (compiled, "")
        graph = attempt("graph", lambda: captured(torch, lambda: in_graph(ids)))
        if graph is not None:
            keep(
                "graph",
                "torch eager in a graph" if compiled is None else "torch.compile in a graph",
                graph.replay,
                "graph",
                caveat,
            )
    return found


def _warmed(work: Callable[[Any], Any], ids: Any) -> Callable[[Any], Any]:
    for _ in range(3):
        work(ids)
    return work


def attempt(what: str, work: Callable[[], Any]) -> Any:
    """Return what `work` gives, or None and one line on stderr when it fails:
    what one device cannot do is no reason to measure nothing."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 (drivers and compilers raise anything)
        report(f"{what} left out: {type(error).__name__}: {' '.join(str(error).split())[:120]}")
        return None


def report(text: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"record_decode: {text}\n")


def load_torch() -> Any:
    """Return the module torch with a usable GPU; end with one line and exit code 1 where there is none."""
    try:
        import torch
    except ImportError:
        sys.exit("record_decode: torch is not installed; this script needs it (perfmodel itself does not)")
    if not torch.cuda.is_available():
        sys.exit("record_decode: torch finds no GPU (CUDA or ROCm); nothing to measure")
    return torch


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Time and record decode steps of a small decoder with random weights.")
    parser.add_argument("--model", choices=sorted(SHAPES), default="llama-3.2-1b", help="whose shapes to take")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--context", type=int, default=1024, help="tokens in the cache")
    parser.add_argument("--hardware", help="name of this device in perfmodel's catalogue, for rows.csv")
    parser.add_argument("--out", type=Path, default=Path("recorded"), help="folder to write to")
    asked = parser.parse_args(words)
    if asked.batch < 1 or asked.context < 1:
        parser.error("--batch and --context are whole numbers from 1")
    return asked


def main(words: Sequence[str]) -> None:
    """Measure, record, and write the files."""
    asked = arguments(words)
    torch = load_torch()
    shapes = SHAPES[asked.model]
    free, _ = torch.cuda.mem_get_info()
    needed = bytes_needed(shapes, asked.batch, asked.context)
    if needed > 0.85 * free:
        sys.exit(
            f"record_decode: {asked.model} at this batch and context needs {needed / 1e9:.3g} GB, {free / 1e9:.3g} "
            "GB are free; ask for less"
        )
    try:
        asked.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"record_decode: {asked.out}: {error.strerror}")
    machine = attempt("the device", lambda: measure_machine(torch))
    torch.cuda.empty_cache()
    steps = measure_steps(torch, shapes, asked.batch, asked.context, asked.out)
    where = asked.hardware
    if machine is not None:
        (asked.out / "hardware.toml").write_text(hardware_toml(machine), encoding="utf-8")
        where = where or str(asked.out / "hardware.toml")
        seconds = bytes_per_step(shapes, asked.batch, asked.context) / machine.reads.rate
        report(f"reads {machine.reads.rate / 1e9:.4g} GB/s, {seconds * 1e3:.4g} ms for the bytes of a step")
    name = torch.cuda.get_device_properties(0).name
    if where is None:
        report("rows.csv left out: give --hardware, for the device could not be measured")
    else:
        (asked.out / "rows.csv").write_text(
            rows_csv(asked.model, where, asked.batch, asked.context, steps, name, f"torch {torch.__version__}"),
            encoding="utf-8",
        )
    print(f"{asked.out}: {', '.join(sorted(path.name for path in asked.out.iterdir()))}")


if __name__ == "__main__":
    main(sys.argv[1:])
