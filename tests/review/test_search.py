"""What was said is found by any part of it, in any script and on both databases; searching is written down."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client

from conversations.models import Conversation
from conversations.review.models import AuditEntry
from tests.factories import person
from tests.review.people import planted, somebody
from tests.review.test_pages import WORDS
from tests.site import ROOT, environment

pytestmark = pytest.mark.django_db
SEARCH = "/admin/conversations/conversation/search/"
TEXTS = {
    "latin": "The Quick Brown Fox jumps over the lazy dog",
    "accents": "Straßenbahn und ÄPFEL, naïve café",
    "chinese": "北京是中国的首都，人口超过两千万。",
    "japanese": "東京タワーはどこにありますか",
    "code": "if (a->b && c[0] == '%') { return \"x_y\"; }",
    "short": "AI is said to be C++ in disguise",
}
# A query, and the texts that hold it.
QUERIES = {
    "quick": {"latin"},
    "ick brow": {"latin"},
    "fox THE": {"latin"},
    "fox cat": set(),
    "äpfel": {"accents"},
    "CAFÉ": {"accents"},
    "北京": {"chinese"},
    "首都": {"chinese"},
    "国": {"chinese"},
    "京": {"chinese", "japanese"},
    "京北": set(),
    "タワー": {"japanese"},
    "中国的首都 北京": {"chinese"},
    "a->b": {"code"},
    "x_y": {"code"},
    "x%y": set(),
    '"x_y"': {"code"},
    "'%'": {"code"},
    "AI": {"short"},
    "C++": {"short"},
    "disguise ai": {"short"},
    "AND": set(),
    "NOT OR (": set(),
    "   ": set(),
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def found(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, list[str]]:
    """What the queries find in a database of either kind, and after some of it was changed."""
    if request.param == "sqlite":
        database = tmp_path / "db.sqlite3"
        shutil.copy(request.getfixturevalue("database_template"), database)
        url = f"sqlite:///{database}"
    else:
        url = request.getfixturevalue("postgresql_database")
    finder = subprocess.run(
        [sys.executable, "-m", "tests.review.finder"],
        cwd=ROOT,
        env=environment(DATABASE_URL=url),
        input=json.dumps({"texts": TEXTS, "queries": [*QUERIES]}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(finder.stdout)


def test_every_word_is_found_wherever_it_stands_as_long_as_it_stands_there(found: dict[str, list[str]]):
    for query, expected in QUERIES.items():
        assert set(found[query]) == expected, query
    assert found["after a change"] == [[], ["latin"]]
    assert found["after a deletion"] == []
    assert found["in reasoning"] == ["japanese"]


@pytest.fixture
def conversation() -> Conversation:
    return planted(person("owner"), **WORDS)


def reviewing(client: Client, role: str) -> Client:
    client.force_login(somebody(role))
    client.post("/admin/conversations/conversation/reason/", {"reason": "Safety", "note": ""})
    return client


def test_a_search_wants_a_reason_first(client: Client, conversation: Conversation):
    client.force_login(somebody("reader"))
    answer = client.get(f"{SEARCH}?q={WORDS['answer']}")
    assert "/reason/" in answer.headers["Location"]
    assert not AuditEntry.objects.filter(act="searched").exists()


def test_a_search_and_whose_passages_it_showed_are_written_down(client: Client, conversation: Conversation):
    page = reviewing(client, "reader").get(f"{SEARCH}?q={WORDS['answer']}").content.decode()
    assert f"<mark>{WORDS['answer']}</mark>" in page
    searched, found = AuditEntry.objects.filter(act__in=["searched", "found"]).order_by("number")
    assert (searched.act, searched.details["words"], searched.reason) == ("searched", WORDS["answer"], "Safety")
    assert (found.act, found.conversation_id, found.owner_id) == ("found", conversation.pk, conversation.owner_id)
    assert list(AuditEntry.objects.visible_to_owner(conversation.owner_id).values_list("act", flat=True)) == ["found"]


def test_reasoning_is_searched_by_those_who_may_read_it_alone(client: Client, conversation: Conversation):
    address = f"{SEARCH}?q={WORDS['reasoning']}&reasoning=on"
    assert "No results" in reviewing(client, "reader").get(address).content.decode()
    assert "<mark>" in reviewing(client, "reader with reasoning").get(address).content.decode()


def test_a_scoped_reviewer_finds_nothing_of_others(client: Client, conversation: Conversation):
    page = reviewing(client, "scoped reviewer").get(f"{SEARCH}?q={WORDS['answer']}").content.decode()
    assert "No results" in page
    assert AuditEntry.objects.filter(act="searched").count() == 1
