"""Prepared statements: querysets that are compiled to SQL once.

Django compiles a queryset each time it is executed, which takes ten times as long as SQLite takes to run it. The
statements of every prompt and socket are written as functions that return a queryset, and their SQL is cached.

Arguments are values to compare with or to store, and must not decide what is queried: numbers, strings, UUIDs and aware
datetimes, a list of those for `__in` (SQL is cached by its length, rounded up), and for updates a dict of columns.
Other arguments, and querysets whose rows need more than their own columns, raise `TypeError`.

The compiler is not public API of Django. If it lacks what is used here, querysets are executed in the usual way.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, models, transaction
from django.db.models.expressions import RawSQL

logger = logging.getLogger(__name__)

Update = tuple[models.QuerySet[Any], Mapping[str, Any]]

ADAPTERS: dict[type[Any], Any] = {UUID: models.UUIDField(), datetime: models.DateTimeField()}
UNSUPPORTED = ("select_related", "distinct", "is_sliced", "combinator", "group_by", "extra")  # attributes of a query

_statements: dict[tuple[Any, ...], "_Select | _Update | None"] = {}  # None: it could not be compiled


def prepared(build: Callable[..., models.QuerySet[Any]]) -> Callable[..., list[Any]]:
    """Turn a function that returns a queryset into one that returns its rows: instances, or tuples of `values_list()`.

    Raises `TypeError` for unsupported arguments or querysets.
    """
    return _executor(build, _Select, list)


def prepared_update(build: Callable[..., Update]) -> Callable[..., int]:
    """Turn a function that returns a queryset and columns into one that updates them and returns the number of rows.

    Raises `TypeError` for unsupported arguments or querysets.
    """
    return _executor(build, _Update, lambda update: update[0].update(**update[1]))


def _executor(build: Callable[..., Any], kind: type[Any], execute_plain: Callable[[Any], Any]) -> Callable[..., Any]:
    @wraps(build)
    def execute(*arguments: Any) -> Any:
        adapted = [_adapt(argument) for argument in arguments]
        key = build, connection.vendor, *map(_shape, adapted)
        if key not in _statements:
            _statements[key] = _compile(kind, build(*map(_placeholder, range(len(adapted)), adapted)))
        if statement := _statements[key]:
            return statement.execute(adapted)
        return execute_plain(build(*arguments))

    return execute


def _compile(kind: type[Any], built: Any) -> Any:
    """Return a compiled statement; None if Django's compiler lacks what that needs."""
    kind.check(built)
    try:
        return kind(built)
    except (AttributeError, ImportError, TypeError):
        logger.exception("a statement is not prepared: Django's compiler has changed")
        return None


class _Placeholder(NamedTuple):
    """A parameter of the SQL that is an argument, or one element of it."""

    argument: int
    element: int | str | None = None


class _Statement:
    def __init__(self, query: Any) -> None:
        self._compiler = query.get_compiler(connection=connection)
        self._sql, self._parameters = self._compiler.as_sql()

    def _execute(self, cursor: Any, arguments: Sequence[Any]) -> None:
        cursor.execute(self._sql, [_value(arguments, parameter) for parameter in self._parameters])


class _Select(_Statement):
    def __init__(self, queryset: models.QuerySet[Any]) -> None:
        query: Any = queryset.query
        super().__init__(query)
        columns = [expression for expression, *_ in self._compiler.select]
        self._converters = self._compiler.get_converters(columns)
        self._convert = self._compiler.apply_converters
        self._locks = query.select_for_update
        self._model: Any = queryset.model if query.default_cols or query.deferred_loading[0] else None
        self._annotations = list(query.annotation_select) if self._model else []
        own = columns[: len(columns) - len(self._annotations)] if self._model else []
        self._names = [column.target.attname for column in own]

    def execute(self, arguments: Sequence[Any]) -> list[Any]:
        if self._locks and transaction.get_autocommit():
            raise transaction.TransactionManagementError("select_for_update() needs a transaction")
        with connection.cursor() as cursor:
            self._execute(cursor, arguments)
            rows: list[Any] = cursor.fetchall()
        if self._converters:
            rows = [tuple(row) for row in self._convert(rows, self._converters)]
        return [self._instance(row) for row in rows] if self._model else rows

    def _instance(self, row: Sequence[Any]) -> models.Model:
        own = len(self._names)
        instance: models.Model = self._model.from_db(connection.alias, self._names, row[:own])
        for name, value in zip(self._annotations, row[own:], strict=True):
            setattr(instance, name, value)
        return instance

    @staticmethod
    def check(queryset: models.QuerySet[Any]) -> None:
        _check(queryset)


class _Update(_Statement):
    def __init__(self, update: Update) -> None:
        from django.db.models.sql import UpdateQuery

        queryset, columns = update
        query: Any = queryset.query.chain(UpdateQuery)
        query.add_update_values(columns)
        super().__init__(query)
        self._field = queryset.model._meta.get_field

    def execute(self, arguments: Sequence[Any]) -> int:
        stored = [self._stored(argument) if isinstance(argument, dict) else argument for argument in arguments]
        with connection.cursor() as cursor:
            self._execute(cursor, stored)
            return int(cursor.rowcount)

    def _stored(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        values = {name: value.pk if isinstance(value, models.Model) else value for name, value in columns.items()}
        return {name: self._field(name).get_db_prep_save(value, connection) for name, value in values.items()}

    @staticmethod
    def check(update: Update) -> None:
        _check(update[0])


def _check(queryset: models.QuerySet[Any]) -> None:
    if found := [name for name in UNSUPPORTED if getattr(queryset.query, name, None)]:
        raise TypeError(f"prepared statements do not support {', '.join(found)}")
    try:
        queryset.iterator()  # executes nothing; refuses what prefetches, as documented
    except ValueError as error:
        raise TypeError("prepared statements do not support prefetch_related") from error


def _adapt(argument: Any) -> Any:
    """Return an argument as the database takes it; the values of a dict are adapted by the columns' fields."""
    if isinstance(argument, int | str | dict):
        return argument
    if isinstance(argument, list):
        return _pad_in_list([_adapt(element) for element in argument])
    if field := ADAPTERS.get(type(argument)):
        return field.get_db_prep_value(argument, connection)
    raise TypeError(f"prepared statements do not support arguments of type {type(argument).__name__}")


def _pad_in_list(values: list[Any]) -> list[Any]:
    """Return the values with the last one repeated up to a power of two, so that fewer lengths are compiled."""
    return values + values[-1:] * ((1 << (len(values) - 1).bit_length()) - len(values)) if values else [None]


def _shape(argument: Any) -> Any:
    if isinstance(argument, list):
        return len(argument)
    return tuple(argument) if isinstance(argument, dict) else None


def _placeholder(number: int, argument: Any) -> Any:
    if isinstance(argument, list):
        return RawSQL(", ".join(["%s"] * len(argument)), [_Placeholder(number, n) for n in range(len(argument))])  # noqa: S611
    if isinstance(argument, dict):
        return {column: RawSQL("%s", [_Placeholder(number, column)]) for column in argument}
    return RawSQL("%s", [_Placeholder(number)])


def _value(arguments: Sequence[Any], parameter: Any) -> Any:
    if not isinstance(parameter, _Placeholder):
        return parameter
    value = arguments[parameter.argument]
    return value if parameter.element is None else value[parameter.element]
