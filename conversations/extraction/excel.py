"""Read the values in Excel workbooks. Formulas are not evaluated: their values are those that Excel stored."""

import csv
import datetime
import io
from typing import BinaryIO, Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from conversations.extraction.office import Package
from conversations.extraction.output import Output
from conversations.extraction.result import DAMAGED, LimitReached, Limits, Unreadable

NO_VALUES: Final = "This workbook has no values. Open it in Excel, save it again, and attach that."

Value = str | float | bool | datetime.date | datetime.time | datetime.timedelta


def read(file: BinaryIO, output: Output, limits: Limits) -> None:
    """Add each sheet as comma-separated values below a heading with its name."""
    Package(file, limits)  # refuses what is protected, or too large when it is unpacked
    file.seek(0)
    cells_left = limits.cells
    try:
        workbook = CalamineWorkbook.from_filelike(file)
        sheets = [sheet for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        for number, sheet in enumerate(sheets[: limits.sheets], start=1):
            hidden = "" if sheet.visible == SheetVisibleEnum.Visible else " (hidden)"
            output.add(f"## Sheet {number}: {sheet.name}{hidden}\n\n")
            cells_left = _add_rows(workbook.get_sheet_by_name(sheet.name), output, cells_left)
            if cells_left < 0:
                raise LimitReached(f"Only the first {limits.cells:,} cells were read.")
            output.add("\n")
    except CalamineError as error:
        raise Unreadable(DAMAGED) from error
    if cells_left == limits.cells:
        raise Unreadable(NO_VALUES)
    if limits.sheets < len(sheets):
        raise LimitReached(f"Only the first {limits.sheets:,} of {len(sheets):,} sheets were read.")


def _add_rows(sheet: CalamineSheet, output: Output, cells_left: int) -> int:
    """Add the rows of `sheet`, and return how many cells are left then: fewer than 0 if not all were added."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    for row in sheet.iter_rows():
        values = [_written(value) for value in row]
        while values and not values[-1]:
            values.pop()
        cells_left -= sum(1 for value in values if value)
        if cells_left < 0:
            break
        if values:
            writer.writerow(values)
        output.add(line.getvalue())
        line.seek(0)
        line.truncate()
    return cells_left


def _written(value: Value) -> str:
    """Return `value` as Excel would show it without a format."""
    match value:
        case bool():
            return str(value).upper()
        case float() if value.is_integer() and abs(value) < 1e15:  # all numbers in Excel have 15 digits
            return str(int(value))
        case _:
            return str(value)
