"""Search finds parts of words in any script, on both databases, and searches by reviewers are recorded."""

import json
import shutil
from pathlib import Path

import pytest
from django.test import Client

from conversations.models import Conversation, Message
from conversations.review.models import AuditEntry
from tests.factories import person
from tests.review.factories import WORDS, make_conversation, make_user
from tests.site import run_module

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
# Each query, and the texts that match it.
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
def results(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, list[str]]:
    """The results of the queries in each kind of database, also after a text was changed and deleted."""
    if request.param == "sqlite":
        database = tmp_path / "db.sqlite3"
        shutil.copy(request.getfixturevalue("database_template"), database)
        url = f"sqlite:///{database}"
    else:
        url = request.getfixturevalue("postgresql_database")
    given = json.dumps({"texts": TEXTS, "queries": [*QUERIES]})
    completed = run_module("tests.review.run_search", given, DATABASE_URL=url)
    return json.loads(completed.stdout)


def test_queries_find_the_texts_that_contain_all_words(results: dict[str, list[str]]):
    for query, expected in QUERIES.items():
        assert set(results[query]) == expected, query
    assert results["after a change"] == [[], ["latin"]]
    assert results["after a deletion"] == []
    assert results["in reasoning"] == ["japanese"]
    # Of owners: titles, and the newest messages whose content or reasoning contains all words.
    assert results["in titles"] == [1, 0, 0, 0, 0, 0]
    assert results["anywhere"] == [
        [["short", False, True], ["code", False, True]],
        [["chinese", True, False]],
        [["chinese", False, True]],
        [],
        [["short", True, False]],
        [],
    ]
    assert results["in files"] == [["birnen.txt", "Äpfel.csv"], ["Äpfel.csv"], [], [], []]
    assert results["of others"] == [0, 0, 0]


@pytest.fixture
def conversation() -> Conversation:
    return make_conversation(person("owner"))


def with_case(client: Client, role: str) -> Client:
    """Sign in with this role and open a case."""
    client.force_login(make_user(role))
    client.post("/admin/conversations/conversation/reason/", {"reason": "Safety", "note": ""})
    return client


def test_a_search_needs_a_case(client: Client, conversation: Conversation):
    client.force_login(make_user("reader"))
    response = client.get(f"{SEARCH}?q={WORDS['answer']}")
    assert "/reason/" in response.headers["Location"]
    assert not AuditEntry.objects.filter(act="searched").exists()


def test_a_search_and_the_conversations_in_its_results_are_recorded(client: Client, conversation: Conversation):
    page = with_case(client, "reader").get(f"{SEARCH}?q={WORDS['answer']}").content.decode()
    assert f"<mark>{WORDS['answer']}</mark>" in page
    searched, found = AuditEntry.objects.filter(act__in=["searched", "found"]).order_by("number")
    assert (searched.act, searched.details["words"], searched.reason) == ("searched", WORDS["answer"], "Safety")
    assert (found.act, found.conversation_id, found.owner_id) == ("found", conversation.pk, conversation.owner_id)
    assert list(AuditEntry.objects.visible_to_owner(conversation.owner_id).values_list("act", flat=True)) == ["found"]


def test_results_show_answers_without_their_markup(client: Client, conversation: Conversation):
    Message.objects.filter(content=WORDS["answer"]).update(content=f"## Plan\n\nSome **bold** {WORDS['answer']}")
    page = with_case(client, "reader").get(f"{SEARCH}?q={WORDS['answer']}").text
    assert f"Plan\n\nSome bold <mark>{WORDS['answer']}</mark>" in page


def test_only_reviewers_who_may_read_reasoning_search_it(client: Client, conversation: Conversation):
    url = f"{SEARCH}?q={WORDS['reasoning']}&reasoning=on"
    assert "No results" in with_case(client, "reader").get(url).content.decode()
    assert "<mark>" in with_case(client, "reader with reasoning").get(url).content.decode()


def test_a_scoped_reviewer_finds_nothing_outside_their_groups(client: Client, conversation: Conversation):
    page = with_case(client, "scoped reviewer").get(f"{SEARCH}?q={WORDS['answer']}").content.decode()
    assert "No results" in page
    assert AuditEntry.objects.filter(act="searched").count() == 1
