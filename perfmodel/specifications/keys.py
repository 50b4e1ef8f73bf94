"""What a key of a hardware file means: its unit, its range, and which way it moves a step."""

import msgspec


class Parameter(msgspec.Struct, frozen=True):
    """What a key means. `slower`: +1 when a larger value makes a step slower, -1 faster, 0 neither."""

    key: str
    unit: str
    slower: int
    meaning: str
    least: float = 0.0
    most: float = 1e30
    positive: bool = False  # zero is refused too


def share(key: str, slower: int, meaning: str, *, positive: bool = True) -> Parameter:
    """Return a parameter that is a share of something, from 0 to 1 [-]; positive: zero is refused."""
    return Parameter(key, "1", slower, meaning, most=1.0, positive=positive)
