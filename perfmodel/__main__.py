"""`python -m perfmodel` and the `perfmodel` script."""

from perfmodel._layout import load_command_line


def main() -> None:
    """Run the command line."""
    load_command_line().main()


if __name__ == "__main__":
    main()
