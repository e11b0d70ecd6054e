"""The tables of the TOML that describes models. Errors name the table and the key."""

import tomllib
from collections.abc import Iterable
from typing import Any


class InvalidModels(ValueError):
    """The TOML does not describe models. The message is for operators."""


def tables_of(text: str) -> tuple[dict[str, "Table"], list["Table"]]:
    """Return the tables of endpoints by their names, and those of models in their order. Raises `InvalidModels`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidModels(f"it is not TOML: {error}.") from error
    if unknown := sorted(document.keys() - {"endpoints", "models"}):
        raise InvalidModels(f"{unknown[0]} is not known. Use [endpoints.<name>] and [[models]].")
    endpoints, models = document.get("endpoints", {}), document.get("models", [])
    if not isinstance(endpoints, dict):
        raise InvalidModels("endpoints must be tables: [endpoints.<name>].")
    if not isinstance(models, list):
        raise InvalidModels("models must be a list of tables: [[models]].")
    named = {name: Table(f"[endpoints.{name}]", values) for name, values in endpoints.items()}
    return named, [Table(f"[[models]] {number}", values) for number, values in enumerate(models, 1)]


class Table:
    """A table whose keys are read one after the other; `finish` refuses those that were not."""

    def __init__(self, place: str, values: object) -> None:
        self._place = place
        if not isinstance(values, dict):
            raise self.error("", "it must be a table.")
        self._values: dict[str, Any] = values
        self._read: set[str] = set()
        if name := values.get("id"):
            self._place = f"{place} ({str(name)[:40]})"

    def error(self, key: str, reason: str) -> InvalidModels:
        return InvalidModels(f"{self._place}{f' {key}' if key else ''}: {reason}")

    def text(self, key: str, default: str = "", longest: int = 2_000) -> str:
        found = self._get(key, default, str, "a text in quotation marks").strip()
        if len(found) > longest:
            raise self.error(key, f"it must have at most {longest} characters.")
        return found or default

    def number(self, key: str, minimum: int) -> int:
        found: int = self._get(key, minimum, int, "a whole number")
        if found < minimum:
            raise self.error(key, f"it must be at least {minimum:,}.")
        return found

    def numbers(self, key: str, minimum: int, common: str) -> dict[str, int]:
        """Return a table of numbers by name, in which there must be one for `common`; a number alone is that one."""
        found = self._get(key, {}, (int, dict), f"a whole number, or a table such as {{{common} = 1000, Name = 2000}}")
        if not isinstance(found, dict):
            found = {common: found}
        elif found and common not in found:
            raise self.error(key, f"a table must have a number for {common}.")
        for number in found.values():
            if not isinstance(number, int) or isinstance(number, bool) or number < minimum:
                raise self.error(key, f"use whole numbers of at least {minimum:,}.")
        return dict(found)

    def flag(self, key: str, default: bool) -> bool:
        return bool(self._get(key, default, bool, "true or false"))

    def choice(self, key: str, allowed: Iterable[str]) -> str:
        found = self.text(key)
        if found and found not in allowed:
            raise self.error(key, f"{found!r} is none of {', '.join(allowed)}.")
        return found

    def choices(self, key: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of some of `allowed`, in their order."""
        found: list[Any] = self._get(key, [], list, 'a list, such as ["low", "high"]')
        for each in found:
            if each not in allowed:
                raise self.error(key, f"{each!r} is none of {', '.join(allowed)}.")
        return tuple(each for each in allowed if each in found)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts."""
        found: list[Any] = self._get(key, [], list, 'a list, such as ["one", "two"]')
        if not all(isinstance(each, str) and each.strip() for each in found):
            raise self.error(key, "each must be a text in quotation marks.")
        return tuple(each.strip() for each in found)

    def given(self, **values: Any) -> dict[str, Any]:
        """Return those of `values` whose keys the table has, and whose text is not empty."""
        return {key: value for key, value in values.items() if key in self._values and value != ""}

    def finish(self) -> None:
        """Raise `InvalidModels` for a key that was not read."""
        if unknown := sorted(self._values.keys() - self._read):
            raise self.error(unknown[0], f"this key is not known. The keys are {', '.join(sorted(self._read))}.")

    def _get(self, key: str, default: Any, kind: type[Any] | tuple[type[Any], ...], what: str) -> Any:
        self._read.add(key)
        found = self._values.get(key, default)
        # A boolean is an int too.
        if not isinstance(found, kind) or (kind is not bool and isinstance(found, bool)):
            raise self.error(key, f"it must be {what}.")
        return found
