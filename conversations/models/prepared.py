"""Queries that are compiled once.

Django compiles a query set anew each time it is asked, in fifteen times the steps that asking SQLite takes. What every
prompt and every socket asks is written as a query set too, but kept as the SQL that came of it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, models
from django.db.models.expressions import RawSQL

_uuid = models.UUIDField()


class _Place(NamedTuple):
    """Where in the SQL's parameters an argument goes, or one element of it."""

    argument: int
    element: int | None = None


class _Compiled:
    def __init__(self, queryset: models.QuerySet) -> None:
        self._compiler = queryset.query.get_compiler(connection=connection)
        self._sql, self._parameters = self._compiler.as_sql()
        columns = [expression for expression, *_ in self._compiler.select]
        self._converters = self._compiler.get_converters(columns)
        is_of_models = queryset.query.default_cols or queryset.query.deferred_loading[0]
        self._model = queryset.model if is_of_models else None
        self._annotations = list(queryset.query.annotation_select) if is_of_models else []
        fields = columns[: len(columns) - len(self._annotations)] if is_of_models else []
        self._names = [column.target.attname for column in fields]

    def rows(self, arguments: Sequence[Any]) -> list[Any]:
        values = [_value(arguments, given) if isinstance(given, _Place) else given for given in self._parameters]
        with connection.cursor() as cursor:
            cursor.execute(self._sql, values)
            rows = cursor.fetchall()
        if self._converters:
            rows = [tuple(row) for row in self._compiler.apply_converters(rows, self._converters)]
        if self._model is None:
            return rows
        return [self._instance(row) for row in rows]

    def _instance(self, row: Sequence[Any]) -> models.Model:
        own = len(self._names)
        instance = self._model.from_db(connection.alias, self._names, row[:own])
        for name, value in zip(self._annotations, row[own:], strict=True):
            setattr(instance, name, value)
        return instance


def prepared(build: Callable[..., models.QuerySet]) -> Callable[..., list[Any]]:
    """Make a function that returns a query set one that returns its rows: model instances, or tuples of values.

    Arguments are values to compare with: ids, or sequences of them for `__in`, for which SQL is kept by their length,
    rounded up. They may not decide what the query is.
    """
    known: dict[tuple[Any, ...], _Compiled] = {}

    def ask(*arguments: Any) -> list[Any]:
        given = [_filled_up(a) if isinstance(a, list) else a for a in arguments]
        shape = connection.vendor, *(len(a) if isinstance(a, list) else None for a in given)
        if (compiled := known.get(shape)) is None:
            compiled = known[shape] = _Compiled(build(*map(_placeholder, range(len(given)), given)))
        return compiled.rows(given)

    return ask


def _filled_up(ids: list[Any]) -> list[Any]:
    """Return the ids, the last one again and again, until there are a power of two of them."""
    return ids + ids[-1:] * ((1 << (len(ids) - 1).bit_length()) - len(ids)) if ids else [None]


def _placeholder(number: int, argument: Any) -> RawSQL:
    if not isinstance(argument, list):
        return RawSQL("%s", [_Place(number)])
    return RawSQL(", ".join(["%s"] * len(argument)), [_Place(number, n) for n in range(len(argument))])  # noqa: S611


def _value(arguments: Sequence[Any], place: _Place) -> Any:
    value = arguments[place.argument]
    if place.element is not None:
        value = value[place.element]
    return _uuid.get_db_prep_value(value, connection) if isinstance(value, UUID) else value
