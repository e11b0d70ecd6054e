"""The files that are joined for the conversation's page."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import override_settings

from chatsite.static_files import BUNDLES, join
from conversations.templatetags.bundles import bundle
from tests.site import ROOT

SCRIPTS = sorted((ROOT / "static/js").glob("*.js"))
MAX_LINES = 1_370  # of all scripts


def test_the_scripts_stay_few_lines():
    assert 0 < sum(len(path.read_text().splitlines()) for path in SCRIPTS) < MAX_LINES


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_import_nothing(path: Path):
    # `join` would leave `import` and `export` inside a block, which is a syntax error.
    assert not re.search(r"^\s*(import|export)\b", path.read_text(), re.MULTILINE)


def test_joined_scripts_keep_names_of_their_own():
    assert join({"js/a.js": "const a = 1;\n", "js/b.js": "const a = 2;\n"}) == (
        '(() => {\n"use strict";\nconst a = 1;\n})();\n(() => {\n"use strict";\nconst a = 2;\n})();\n'
    )


def test_joined_libraries_keep_their_global_names():
    assert join({"django_htmx/htmx-2.min.js": "var htmx = {};"}) == "var htmx = {};\n"


def test_joined_style_sheets_keep_their_order():
    assert join({"css/a.css": "a {}\n", "css/b.css": "b {}\n"}) == "a {}\n\nb {}\n\n"


@pytest.mark.parametrize("name", BUNDLES)
def test_pages_name_the_single_files_while_debugging(name: str):
    with override_settings(DEBUG=True):
        assert bundle(name).count("<") >= len(BUNDLES[name])
    assert "/static/bundles/" in bundle(name)
    assert all(finders.find(file) for file in BUNDLES[name])
