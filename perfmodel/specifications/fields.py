"""Checked access to the keys of a table out of any file: each is read with its type and range, or refused by name."""

import math
from collections.abc import Collection
from typing import Any

from perfmodel.errors import SpecificationError, nearest, shown

LARGEST_INTEGER = 10**9


class Fields:
    """The keys of one table; reading marks a key as understood.

    where: the file, and the table in it, for messages.
    """

    def __init__(self, table: object, where: str) -> None:
        if not isinstance(table, dict):
            raise SpecificationError(f"{where}: expected a table, found {shown(table)}")
        self._table: dict[str, Any] = table
        self._read: set[str] = set()
        self.where = where

    def only(self, keys: Collection[str], what: str) -> None:
        """Raise SpecificationError for a key that is not one of `keys`; what: the kind of table that has these."""
        for key in self._table:
            if key not in keys:
                raise SpecificationError(
                    f"{self.where}: {shown(key)} is not a key of {what}{nearest(key, keys)}; the keys are"
                    f" {', '.join(keys)}"
                )

    def has(self, key: str) -> bool:
        """Return whether `key` is there and not null."""
        return self.raw(key) is not None

    def raw(self, key: str) -> Any:
        """Return what stands at `key`, unchecked, or None."""
        return self._table.get(key)

    def known(self, *keys: str) -> None:
        """Mark keys as understood that the reader needs no value of."""
        self._read.update(keys)

    def _take(self, key: str, default: Any, required: bool) -> Any:
        self.known(key)
        value = self.raw(key)
        if value is not None:
            return value
        if required:
            left = [k for k in self._table if k not in self._read]
            raise SpecificationError(f"{self.where}: has no {key}{nearest(key, left)}")
        return default

    def _refuse(self, key: str, value: object, reason: str) -> SpecificationError:
        return SpecificationError(f"{self.where}: {key}: {shown(value)} {reason}")

    def _whole(self, _key: str, value: object) -> object:
        """Return `value`, as a whole number if it stands for one."""
        return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value

    def integer(
        self,
        key: str,
        default: int | None = None,
        *,
        least: int = 1,
        most: int = LARGEST_INTEGER,
        required: bool = True,
    ) -> Any:
        """Return the whole number at `key`, between `least` and `most`.

        `default` (or None) when absent and not required.
        """
        value = self._take(key, default, required and default is None)
        if value is None or value is default:
            return value
        return self._counted(key, value, least, most)

    def _counted(self, key: str, value: object, least: int, most: int) -> int:
        found = self._whole(key, value)
        if isinstance(found, bool) or not isinstance(found, int):
            raise self._refuse(key, value, "is not a whole number")
        if not least <= found <= most:
            worth = "" if found == value else f"= {shown(found)} "
            raise self._refuse(key, value, f"{worth}is out of range; {least} to {most:,} is accepted")
        return found

    def flag(self, key: str, default: bool = False) -> bool:
        """Return the true or false at `key`, or `default`."""
        value = self._take(key, default, required=False)
        if not isinstance(value, bool):
            raise self._refuse(key, value, "is not true or false")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Return the text at `key`, or `default`; without one it must be there and say something."""
        value = self._take(key, default, required=default is None)
        if not isinstance(value, str):
            raise self._refuse(key, value, "is not a text")
        if default is None and not (value.strip() and value.isprintable()):
            raise self._refuse(key, value, "holds a control character" if value.strip() else "says nothing")
        return value

    def choice(self, key: str, accepted: Collection[str], default: str | None = None) -> str:
        """Return the text at `key`, which must be one of `accepted`, or `default`."""
        value = self._take(key, default, required=default is None)
        if not isinstance(value, str) or (value not in accepted and value != default):
            raise self._refuse(key, value, f"is not one of {', '.join(accepted)}{nearest(str(value), accepted)}")
        return value

    def texts(self, key: str) -> list[str] | None:
        """Return the list of texts at `key`, or None."""
        value = self._take(key, None, required=False)
        if value is not None and (not isinstance(value, list) or not all(isinstance(v, str) for v in value)):
            raise self._refuse(key, value, "is not a list of texts")
        return value

    def integers(self, key: str) -> list[int] | None:
        """Return the list of whole numbers at `key`, or None."""
        value = self._take(key, None, required=False)
        if value is not None and (
            not isinstance(value, list) or not all(isinstance(v, int) and not isinstance(v, bool) for v in value)
        ):
            raise self._refuse(key, value, "is not a list of whole numbers")
        return value

    def numbers(self, key: str, count: int) -> list[float] | None:
        """Return the `count` numbers at `key`, one for all repeated, or None."""
        value = self._take(key, None, required=False)
        if value is None:
            return None
        listed = value if isinstance(value, list) else [value] * count
        if len(listed) != count or not all(
            isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in listed
        ):
            raise self._refuse(key, value, f"is not a number or a list of {count}, one a layer")
        return listed

    def whole_numbers(
        self, key: str, count: int, default: int | None = None, *, least: int = 1, most: int = LARGEST_INTEGER
    ) -> list[int]:
        """Return `count` whole numbers at `key`, between `least` and `most`; one for all is repeated."""
        if not isinstance(self.raw(key), list):
            return [self.integer(key, default, least=least, most=most)] * count
        listed = self.numbers(key, count) or []
        if not all(least <= value <= most and float(value).is_integer() for value in listed):
            raise self._refuse(key, listed, f"are not whole numbers from {least} to {most}")
        return [int(value) for value in listed]

    def table(self, key: str) -> dict[str, Any] | None:
        """Return the table at `key`, or None."""
        value = self._take(key, None, required=False)
        if value is not None and not isinstance(value, dict):
            raise self._refuse(key, value, "is not an object")
        return value

    def tables(self, key: str, most: int, what: str) -> list[dict[str, Any]]:
        """Return the list of 1 to `most` tables at `key`; what: what they are."""
        self.known(key)
        value = self.raw(key)
        if not isinstance(value, list) or not 0 < len(value) <= most:
            raise SpecificationError(f"{self.where}: has no {key}, {what}: a list of 1 to {most:,} tables")
        return value
