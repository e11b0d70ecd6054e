"""Statements that are compiled once.

Django compiles a query set anew each time it is asked, in ten times the steps that asking SQLite takes. What every
prompt and every socket asks is written as a query set too, but kept as the SQL that came of it.

Arguments are values to compare with or to store: ids, times, a list of ids for `__in`, for which SQL is kept by its
length, rounded up, and a dict of columns. They may not decide what is asked.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, models
from django.db.models.expressions import RawSQL
from django.db.models.sql import UpdateQuery
from django.db.models.sql.compiler import SQLCompiler

_uuid = models.UUIDField()


class _Place(NamedTuple):
    """Where in the SQL's parameters an argument goes, or one element of it."""

    argument: int
    element: int | str | None = None


class _Statement:
    def __init__(self, compiler: SQLCompiler) -> None:
        self._compiler = compiler
        self._sql, self._parameters = compiler.as_sql()

    def _execute(self, cursor: Any, arguments: Sequence[Any]) -> None:
        values = [_value(arguments, given) if isinstance(given, _Place) else given for given in self._parameters]
        cursor.execute(self._sql, values)


class _Query(_Statement):
    def __init__(self, queryset: models.QuerySet) -> None:
        super().__init__(queryset.query.get_compiler(connection=connection))
        columns = [expression for expression, *_ in self._compiler.select]
        self._converters = self._compiler.get_converters(columns)
        is_of_models = queryset.query.default_cols or queryset.query.deferred_loading[0]
        self._model = queryset.model if is_of_models else None
        self._annotations = list(queryset.query.annotation_select) if is_of_models else []
        fields = columns[: len(columns) - len(self._annotations)] if is_of_models else []
        self._names = [column.target.attname for column in fields]

    def ask(self, arguments: Sequence[Any]) -> list[Any]:
        with connection.cursor() as cursor:
            self._execute(cursor, arguments)
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


class _Update(_Statement):
    def __init__(self, changed: tuple[models.QuerySet, Mapping[str, Any]]) -> None:
        queryset, columns = changed
        query = queryset.query.chain(UpdateQuery)
        query.add_update_values(columns)
        super().__init__(query.get_compiler(connection=connection))
        self._field = queryset.model._meta.get_field

    def ask(self, arguments: Sequence[Any]) -> int:
        stored = [self._stored(argument) if isinstance(argument, dict) else argument for argument in arguments]
        with connection.cursor() as cursor:
            self._execute(cursor, stored)
            return cursor.rowcount

    def _stored(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        values = {name: value.pk if isinstance(value, models.Model) else value for name, value in columns.items()}
        return {name: self._field(name).get_db_prep_save(value, connection) for name, value in values.items()}


def prepared(build: Callable[..., models.QuerySet]) -> Callable[..., list[Any]]:
    """Make a function that returns a query set one that returns its rows: model instances, or tuples of values."""
    return _asking(_Query, build)


def prepared_update(build: Callable[..., tuple[models.QuerySet, Mapping[str, Any]]]) -> Callable[..., int]:
    """Make a function that returns a query set and columns one that writes these there, and tells to how many rows."""
    return _asking(_Update, build)


def _asking(kind: type[Any], build: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[tuple[Any, ...], Any] = {}

    def ask(*arguments: Any) -> Any:
        given = [_filled_up(argument) if isinstance(argument, list) else argument for argument in arguments]
        shape = connection.vendor, *map(_shape, given)
        if (statement := known.get(shape)) is None:
            statement = known[shape] = kind(build(*map(_placeholder, range(len(given)), given)))
        return statement.ask(given)

    return ask


def _filled_up(ids: list[Any]) -> list[Any]:
    """Return the ids, the last one again and again, until there are a power of two of them."""
    return ids + ids[-1:] * ((1 << (len(ids) - 1).bit_length()) - len(ids)) if ids else [None]


def _shape(argument: Any) -> Any:
    if isinstance(argument, list):
        return len(argument)
    return tuple(argument) if isinstance(argument, dict) else None


def _placeholder(number: int, argument: Any) -> Any:
    if isinstance(argument, list):
        return RawSQL(", ".join(["%s"] * len(argument)), [_Place(number, n) for n in range(len(argument))])  # noqa: S611
    if isinstance(argument, dict):
        return {column: RawSQL("%s", [_Place(number, column)]) for column in argument}
    return RawSQL("%s", [_Place(number)])


def _value(arguments: Sequence[Any], place: _Place) -> Any:
    value = arguments[place.argument]
    if place.element is not None:
        value = value[place.element]
    if isinstance(value, UUID):
        return _uuid.get_db_prep_value(value, connection)
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value
