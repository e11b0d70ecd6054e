"""Pages of rows that are ordered newest first, each found by the last row of the page before."""

from typing import TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def take_page(rows: "QuerySet[Row] | list[Row]", size: int) -> tuple[list[Row], Row | None]:
    """Return the first `size` rows, and the last of them if there is another page, else None."""
    found = list(rows[: size + 1])
    return found[:size], found[size - 1] if len(found) > size else None
