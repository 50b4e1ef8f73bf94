"""`python -m perfmodel` and the `perfmodel` script."""

import gc
import sys
from contextlib import suppress

# What a command makes lives to its end: looking for what does not takes a tenth of a short one.
gc.set_threshold(100_000)
# msgspec loads typing_extensions where it finds it, for names that Python has had since 3.11: a third of its own time.
if "typing_extensions" not in sys.modules:
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    with suppress(ImportError):  # of a version that cannot do without
        import msgspec  # noqa: F401
    del sys.modules["typing_extensions"]

from perfmodel._layout import load_command_line  # noqa: E402


def main() -> None:
    """Run the command line."""
    try:
        load_command_line().main()
    finally:
        # The process ends: what is left is not looked through for circles once more.
        gc.freeze()


# Python keeps the frames of calls in pieces of 16 kB, and each call across the end of a piece takes a new one from the
# system and gives it back, thousands of times where a loop stands there. A frame of 136 kB comes in a piece of 256 kB,
# which has room for all calls that it makes.
main.__code__ = main.__code__.replace(co_stacksize=17_000)

if __name__ == "__main__":
    main()
