"""An app of the tests: its `flush`, which Django calls after tests that commit, restores the migrated database."""

from pathlib import Path

template: Path  # the migrated database of this run, which `django_db_setup` sets
