"""The time of each picture (its numbers, then its drawing) and of a whole page. Goal: all pictures of a page under 5 s.

python benchmarks/pictures.py
"""

import time

from perfmodel import estimate
from perfmodel.report.answerpage import answer_page
from perfmodel.report.pictures.kinds import KINDS, picture_data
from perfmodel.report.pictures.paper import to_svg
from perfmodel.report.pictures.scatters import measurements_near

CASES = (
    ("llama-3.1-8b", "sn40l", {"devices": 8}),
    ("llama-3.2-1b", "h100-sxm", {"context": 128, "after": "megakernel"}),
    ("deepseek-v3", "h200-sxm", {"devices": 8, "batch": 16}),
)


def main() -> None:
    for model, hardware, options in CASES:
        answer = estimate(model, hardware, **options)
        print(f"{model} on {hardware}")
        total = 0.0
        for kind in KINDS:
            if kind == "validation" and not measurements_near(answer):
                continue
            start = time.perf_counter()
            data = picture_data(kind, answer)
            middle = time.perf_counter()
            svg = to_svg(data)
            end = time.perf_counter()
            total += end - start
            print(
                f"  {kind:12s} {1e3 * (middle - start):8.1f} ms numbers {1e3 * (end - middle):7.1f} ms drawing "
                f"{len(svg) / 1e3:7.1f} kB"
            )
        start = time.perf_counter()
        text = answer_page(answer, command="")
        print(
            f"  {'all pictures':12s} {total:8.2f} s; page again {time.perf_counter() - start:.2f} s, "
            f"{len(text.encode()) / 1e3:.0f} kB"
        )


if __name__ == "__main__":
    main()
