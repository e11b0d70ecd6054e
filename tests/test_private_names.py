"""Names of libraries that are not public: without any of them the site works, only slower (docs/dependencies.md)."""

from typing import Any

import pytest
from django.db.models import QuerySet

from conversations.models import prepared
from tests import statements

# Of Django's queries and compilers, as `conversations.models.prepared` uses them.
COMPILER = {
    "add_update_values",
    "annotation_select",
    "apply_converters",
    "as_sql",
    "chain",
    "default_cols",
    "deferred_loading",
    "get_compiler",
    "get_converters",
    "select",
    "select_for_update",
}


class Changed:
    """A query or compiler as of another release of Django, without the attribute `missing`."""

    def __init__(self, original: Any, missing: str, used: set[str]) -> None:
        self.original, self.missing, self.used = original, missing, used

    def __getattr__(self, name: str) -> Any:
        self.used.add(name)
        if name == self.missing:
            raise AttributeError(name)
        value = getattr(self.original, name)
        if name not in ("get_compiler", "chain"):
            return value
        return lambda *args, **kwargs: Changed(value(*args, **kwargs), self.missing, self.used)


def change_compiler(monkeypatch: pytest.MonkeyPatch, missing: str) -> set[str]:
    """Prepare all statements anew without this name; return the names that are used, when they have been."""
    used: set[str] = set()

    def compile_changed(kind: type[Any], built: Any) -> Any:
        queryset: QuerySet[Any] = built[0] if isinstance(built, tuple) else built
        queryset.query = Changed(queryset.query, missing, used)
        return compile_statement(kind, built)

    compile_statement = vars(prepared)["_compile"]
    monkeypatch.setattr(prepared, "_compile", compile_changed)
    monkeypatch.setattr(prepared, "_statements", {})
    return used


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(COMPILER))
def test_without_a_name_of_djangos_compiler_querysets_are_executed(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    change_compiler(monkeypatch, name)
    assert set(statements.compare_all()) == set(statements.statements())  # questions are asked, claimed and answered
    assert "a statement is not prepared" in caplog.text


@pytest.mark.django_db
def test_these_are_the_names_of_djangos_compiler_that_are_used(monkeypatch: pytest.MonkeyPatch):
    used = change_compiler(monkeypatch, "")
    list(statements.compare_all())
    # Names that are only checked are left out: without them nothing is rejected, which `test_prepared` would notice.
    assert used - {*prepared.UNSUPPORTED, "values_select"} == COMPILER
