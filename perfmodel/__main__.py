"""`python -m perfmodel` and the `perfmodel` script."""

import gc

# What a command makes lives to its end: looking for what does not takes a tenth of a short one.
gc.set_threshold(100_000)

from perfmodel._layout import load_command_line  # noqa: E402


def main() -> None:
    """Run the command line."""
    try:
        load_command_line().main()
    finally:
        # The process ends: what is left is not looked through for circles once more.
        gc.freeze()


if __name__ == "__main__":
    main()
