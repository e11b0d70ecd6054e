"""The README's table and `chatsite/settings.py` name the same variables."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def read_by_the_settings() -> set[str]:
    """Return the names given to `env`'s readers."""
    calls = (
        node for node in ast.walk(ast.parse((ROOT / "chatsite/settings.py").read_text())) if isinstance(node, ast.Call)
    )
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "env"
        and call.func.attr != "read_env"
    }


def test_the_readme_lists_every_variable_and_no_other():
    section = (ROOT / "README.md").read_text().split("## Configuration")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])}
    assert listed == read_by_the_settings()
