"""Tables with bars, which show counts to reviewers and to people themselves."""

from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_BAR_WIDTH = 70  # per cent of its cell; the value stands beside it


class Cell(NamedTuple):
    """A value of a table, and the width of its bar in per cent; None for a column without bars."""

    value: Any
    width: float | None

    @property
    def text(self) -> str:
        if self.value is None:
            return "–"
        return f"{self.value:,}" if isinstance(self.value, int | float) else str(self.value)


@dataclass(frozen=True, slots=True)
class Figure:
    """A table, and the index of the column whose values have bars, if any. `name` is its part of the URL."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    chart_column: int | None = None

    @property
    def cells(self) -> list[list[Cell]]:
        column = self.chart_column
        largest = 1.0 if column is None else max((float(row[column]) for row in self.rows), default=0) or 1.0
        return [
            [
                Cell(value, round(MAX_BAR_WIDTH * float(value) / largest, 1) if index == column else None)
                for index, value in enumerate(row)
            ]
            for row in self.rows
        ]
