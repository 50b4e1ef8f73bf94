"""`devices_needed` against brute force: every catalogue model on thirty devices, up to 64 of each.

A development program, run by `make fewest`; what it found is kept beside it, in result.json.
"""

import json
import multiprocessing
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perfmodel.errors import PerfModelError
from perfmodel.estimates.capacity import resident_work
from perfmodel.estimates.conditioning import ask
from perfmodel.estimates.splits import obstacle
from perfmodel.operations.parallel import Parallel
from perfmodel.specifications.catalogue import find_model, names

RESULT = Path(__file__).with_name("result.json")
MOST = 64  # devices that are tried
WORKLOADS = ((1, 4096), (8, 32_768))  # batch, context
DEVICES = (
    "a10 a100-sxm-40gb a100-sxm-80gb a40 ascend-910b2 b200 b300 gaudi-2 gaudi-3 gb200 gh200 h100-nvl h100-pcie h100-sxm"
    " h200-sxm h20 l4 l40s m2-ultra mi210 mi300x mi355x rtx-3090 rtx-4090 rtx-5090 sn40l tpu-v5e tpu-v5p trainium2 "
    "v100-sxm-32gb"
).split()


def shares(model: Any, batch: int) -> Iterator[Parallel]:
    """Yield every way to share a model between at most MOST devices that can be built, fewest devices first."""
    mixture = any(block.count for layer in model.layers for block in getattr(layer, "mixtures", ()))
    for devices in range(1, MOST + 1):
        for tensor in range(1, devices + 1):
            for data in range(1, min(batch if mixture else 1, devices) + 1):
                pipeline = devices // (tensor * data)
                if tensor * data * pipeline != devices:
                    continue
                for expert in range(1, tensor * data + 1) if mixture else (1,):
                    split = Parallel(tensor=tensor, data=data, pipeline=pipeline, expert=expert)
                    if not obstacle(model, split):
                        yield split


def brute(model: Any, resident: Any, batch: int, context: int, rooms: dict[str, float]) -> dict[str, int | None]:
    """Return the least number of each device that holds a model, None for more than MOST; rooms: of each device [B]."""
    found: dict[str, int | None] = dict.fromkeys(rooms)
    for split in shares(model, batch):
        if None not in found.values():
            break
        size = resident(split).bytes_resident(batch, context)
        for device, room in rooms.items():
            if found[device] is None and size <= room:
                found[device] = split.devices
    return found


def compared(name: str) -> tuple[int, list[str]]:
    """Return how many answers of one model were compared, and those that differ."""
    warnings.simplefilter("ignore")
    model = find_model(name)
    differ, number = [], 0
    prepared = {}
    for device in DEVICES:
        try:
            prepared[device] = ask(model, device, devices=1)
        except PerfModelError:  # a device without arithmetic as wide as the model's activations
            continue
    for batch, context in WORKLOADS:
        # Devices that keep the same operations whole hold the same bytes.
        for alike in {one.hardware.replicates for one in prepared.values()}:
            rooms = {
                device: one.hardware.values["memory.capacity"].value
                for device, one in prepared.items()
                if one.hardware.replicates == alike
            }
            formats = next(iter(prepared.values())).formats
            known: dict[Parallel, Any] = {}

            def resident(split: Parallel, alike: Any = alike, formats: Any = formats, known: Any = known) -> Any:
                if split not in known:
                    known[split] = resident_work(model, formats, split, alike)
                return known[split]

            least = brute(model, resident, batch, context, rooms)
            for device in rooms:
                split = prepared[device].fewest_split(batch, context)
                said = split.devices if split is not None and split.devices <= MOST else None
                number += 1
                if said != least[device]:
                    differ.append(f"{name} on {device}, batch {batch}: said {said}, least {least[device]}")
    return number, differ


def main() -> int:
    """Compare, write the result, and return 1 where an answer differs."""
    models = names("models")
    with multiprocessing.get_context("spawn").Pool() as pool:
        found = pool.map(compared, models, chunksize=1)
    result = {
        "models": len(models),
        "devices": len(DEVICES),
        "answers": sum(number for number, _ in found),
        "differ": [one for _, differ in found for one in differ],
        "without": [name for name, (number, _) in zip(models, found, strict=True) if not number],
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")
    return 1 if result["differ"] or result["without"] else 0


if __name__ == "__main__":
    sys.exit(main())
