"""Random lives of generations on both databases, each in a process of its own: see `lifecycle`."""

import shutil
from pathlib import Path

import pytest

from tests.site import run_module

EXAMPLES, STEPS = 10, 25


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_generations_end_once_and_lose_nothing(
    database: str, request: pytest.FixtureRequest, database_template: Path, tmp_path: Path
):
    if database == "sqlite":
        url = f"sqlite:///{shutil.copy(database_template, tmp_path / 'db.sqlite3')}"
    else:
        url = request.getfixturevalue("postgresql_database")
    lives = run_module("tests.generation.lifecycle", str(EXAMPLES), str(STEPS), DATABASE_URL=url)
    assert all(f"'{status}'" in lives.stdout for status in ("complete", "stopped", "interrupted")), lives.stdout
