"""Searching one's own titles, questions, answers and reasoning: on the page and in the command palette."""

import re
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations.models import Conversation, Message, User, attachment
from conversations.models.user import Theme
from conversations.rendering import outlines
from conversations.views import search
from tests.factories import attached, person, queued, unsent
from tests.rendering.test_steps import THOUGHTS
from tests.review.factories import make_conversation

pytestmark = pytest.mark.django_db
PLACES = {"Title": "medlar", "Question": "loquat", "Answer": "quince", "Reasoning": "sorb"}
HOSTILE = '<img src=x onerror="alert(1)"> needle </mark><script>'


@pytest.fixture
def ada() -> User:
    return person()


@pytest.fixture
def owner(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


@pytest.fixture
def conversation(ada: User) -> Conversation:
    """A conversation with a word of its own in each place."""
    words = {"title": "About medlars", "prompt": "When do I plant a loquat?", "version": "So."}
    return make_conversation(ada, **words, answer="Plant the **quince** first.", reasoning="They may mean a sorb tree.")


def find(client: Client, query: str, path: str = "/search/") -> str:
    response = client.get(path, {"q": query})
    assert response.status_code == 200
    return response.text


def targets(page: str, pattern: str = r'<h2><a href="([^"]+)"') -> list[str]:
    return [unescape(url) for url in re.findall(pattern, page)]


@pytest.mark.parametrize("place", PLACES)
def test_each_place_is_searched_and_named(owner: Client, conversation: Conversation, place: str):
    page = find(owner, PLACES[place].upper())
    assert f'<p class="found-where">{place}, ' in page
    assert f"<mark>{PLACES[place]}</mark>" in page
    assert len(targets(page)) == 1
    assert "About medlars" in re.sub(r"</?mark>", "", page)
    palette = find(owner, PLACES[place], "/palette/")
    assert f"<mark>{PLACES[place]}</mark>" in palette
    assert 'data-status="1 result"' in palette


@pytest.mark.parametrize(("query", "word"), [("RIESLING", "Riesling"), ("bottle", "Bottle"), ("bottle dry", "dry")])
def test_files_are_found_by_name_and_text(owner: Client, conversation: Conversation, query: str, word: str):
    prompt = conversation.messages.earliest("pk")
    attached(prompt, "A dry Riesling.", "Bottles.txt")
    unsent(conversation.owner, "Another Riesling in a bottle, dry.")
    page = find(owner, query)
    assert f'<p class="found-where">File{"" if word == "Bottle" else " <bdi>Bottles.txt</bdi>"}, ' in page
    assert f"<mark>{word}</mark>" in page
    [url] = targets(page)
    assert url == f"{conversation.get_absolute_url()}?message={prompt.pk}#message-{prompt.pk}"
    assert f'id="message-{prompt.pk}"' in owner.get(url, follow=True).text
    palette = find(owner, query, "/palette/")
    assert "File, " in palette
    assert "Bottles.txt" in palette.replace("<mark>", "").replace("</mark>", "")
    owner.force_login(person("bob"))
    for path in ("/search/", "/palette/"):
        assert "No results" in find(owner, query, path)


def test_the_newest_files_are_searched_as_far_as_a_page_shows_them(owner: Client, ada: User, monkeypatch):
    monkeypatch.setattr(attachment, "SEARCHED_FILES", 3)
    monkeypatch.setattr(attachment, "SEARCHED_CHARACTERS", 20)
    prompts = [queued(ada).message.prompt for _ in range(5)]
    for number, prompt in enumerate(prompts):
        attached(prompt, "a pear" if number % 2 == 0 else "x" * 20 + " a pear")
    assert [f"message={prompts[n].pk}" in url for n, url in zip((4, 2), targets(find(owner, "pear")), strict=True)]


def test_pages_of_found_files_go_on_where_the_last_one_ended(owner: Client, ada: User, monkeypatch):
    monkeypatch.setattr(search, "RESULTS_PER_PAGE", 2)
    prompts = [queued(ada).message.prompt for _ in range(3)]
    for prompt in prompts:
        attached(prompt, "a pear"), attached(prompt, "pears")
    first = owner.get("/search/", {"q": "pear"})
    assert len(targets(first.text)) == 4
    second = owner.get(f"/search/?{first.context['older']}").text
    assert [f"message={prompts[0].pk}#" in url for url in targets(second)] == [True, True]


@pytest.mark.parametrize("path", ["/search/", "/palette/"])
@pytest.mark.parametrize("word", PLACES.values())
def test_nobody_else_finds_any_of_it(client: Client, conversation: Conversation, path: str, word: str):
    client.force_login(person("bob"))
    page = find(client, word, path)
    assert "No results" in page
    assert str(conversation.pk) not in page
    assert "<mark>" not in page


@pytest.mark.parametrize("path", ["/search/?q=quince", "/palette/?q=quince", "/palette/"])
def test_search_needs_a_sign_in(client: Client, path: str):
    assert client.get(path).headers["Location"].startswith("/accounts/login/")


def test_results_lead_to_the_message_with_the_words_to_highlight(owner: Client, conversation: Conversation):
    answer = Message.objects.get(content__contains="quince")
    [url] = targets(find(owner, "quince first"))
    assert url == f"{conversation.get_absolute_url()}?message={answer.pk}&find=quince+first#message-{answer.pk}"
    # It is on the last page of the branch: the page that is kept up to date opens, with the same words.
    redirect = owner.get(url.partition("#")[0])
    assert redirect.headers["Location"] == f"{conversation.get_absolute_url()}?found={answer.pk}&find=quince+first"
    assert "<mark>quince</mark>" in owner.get(redirect.headers["Location"]).text
    [other] = targets(find(owner, "so."))
    page, _, element = other.partition("#")
    assert f'id="{element}"' in owner.get(page).text  # another version, which its page shows


def test_a_result_in_reasoning_leads_to_its_step(owner: Client, ada: User):
    thought = THOUGHTS["r1-migration"]
    make_conversation(ada, reasoning=thought)
    answer = Message.objects.get(reasoning=thought)
    words = len(thought.split())
    outline = outlines.build(thought)
    Message.objects.filter(pk=answer.pk).update(outline=None, reasoning_words=words)
    [url] = targets(find(owner, "backlog"))
    assert url == f"/messages/{answer.pk}/reasoning/?q=backlog#thought"  # without an outline
    owner.get(url.partition("#")[0])  # makes it
    [url] = targets(find(owner, "backlog"))
    number = int(url.rpartition("-")[2])
    assert "backlog" in outline.parts(thought)[number - 1]
    assert not any("backlog" in part for part in outline.parts(thought)[: number - 1])
    assert "<mark>backlog</mark>" in owner.get(url.partition("#")[0]).text


def test_all_words_must_be_in_the_same_text(owner: Client, conversation: Conversation):
    assert targets(find(owner, "quince plant"))
    assert not targets(find(owner, "quince sorb"))
    assert not targets(find(owner, "quince absent"))


def test_hostile_texts_are_shown_as_text(owner: Client, ada: User):
    words = dict.fromkeys(("prompt", "answer", "version", "reasoning"), HOSTILE)
    make_conversation(ada, title=HOSTILE[:80], **words)
    for path in ("/search/", "/palette/"):
        for query in ("needle", "<script>", '"alert(1)"> needle'):
            page = find(owner, query, path)
            shown = page[page.index('<ol class="found">') :] if path == "/search/" else page
            assert "<mark>" in shown
            assert "<img" not in shown
            assert "<script>" not in re.sub(r"</?mark>", "", shown)


def test_results_are_in_pages_newest_first_and_each_is_shown_once(owner: Client, ada: User):
    number_of_conversations = search.RESULTS_PER_PAGE + 2
    for number in range(number_of_conversations):
        make_conversation(ada, title=f"Pear {number}", answer="A pear.", reasoning="Pears?", prompt="Which?")
    url, found, pages = "/search/?q=pear", [], 0
    while url:
        page = owner.get(url).text
        found += re.findall(r'<h2><a href="([^"]+)"[^>]*>.*?<p class="found-where">(\w+)', page, re.DOTALL)
        older = re.search(r'href="(\?[^"]+)">Older results', page)
        url, pages = f"/search/{unescape(older[1])}" if older else "", pages + 1
    assert pages == 2
    assert len(found) == len(set(found)) == 3 * number_of_conversations
    assert [place for _, place in found[:3]] == ["Title", "Answer", "Reasoning"]
    ids = [int(re.search(r"messages?[=/](\d+)", unescape(url))[1]) for url, place in found if place != "Title"]
    assert ids == sorted(ids, reverse=True)


@pytest.mark.parametrize("path", ["/search/", "/palette/"])
def test_long_queries_are_refused_with_a_sentence(owner: Client, path: str):
    assert "Use 200 characters or fewer" in find(owner, "x" * 201, path)
    assert "Use 20 words or fewer" in find(owner, "x " * 21, path)


def test_the_page_of_search_has_the_list_of_conversations(owner: Client, conversation: Conversation):
    page = find(owner, "quince")
    assert 'id="sidebar"' in page
    assert f'id="listed-{conversation.pk}"' in page
    assert 'data-palette aria-current="page"' in page
    assert 'id="composer"' not in page
    assert "ws-connect" not in page


def test_the_palette_shows_recent_conversations_at_first(owner: Client, ada: User):
    for number in range(search.RECENT + 2):
        make_conversation(ada, title=f"Title {number}")
    make_conversation(person("bob"), title="Of somebody else")
    titles = re.findall(r'palette-title" dir="auto">([^<]+)<', owner.get("/palette/").text)
    assert titles == [f"Title {number}" for number in range(search.RECENT + 1, 1, -1)]
    page = owner.get("/").text
    assert len(re.findall(r'id="palette-c[0-9a-f]{8}-', page)) == search.RECENT  # without another request


def test_a_few_letters_are_only_looked_for_in_titles(owner: Client, conversation: Conversation):
    page = find(owner, "pl", "/palette/")
    assert "Type 3 letters to search in messages." in page
    assert "<mark>" not in page
    Conversation.objects.filter(pk=conversation.pk).update(title="枇杷")
    Message.objects.filter(content__contains="quince").update(content="枇杷很好吃。")
    for query, number in (("ab", 0), ("枇杷", 2)):  # most Chinese words have two characters
        assert find(owner, query, "/palette/").count("<mark>") == number


@pytest.mark.parametrize(("number", "cost"), [(search.MESSAGES, 4), (1, 5)])  # of few results, all texts are searched
def test_a_key_press_costs_at_most_five_queries(owner: Client, ada: User, number: int, cost: int):
    for _ in range(number):
        make_conversation(ada, title="A pear", prompt="Pear?", answer="A pear.", reasoning="Pears.")
    with CaptureQueriesContext(connection) as queries:
        response = owner.get("/palette/?q=pear")
    statements = [query["sql"] for query in queries if "conversations_user" not in query["sql"]]
    statements = [statement for statement in statements if "django_session" not in statement]
    assert len(statements) == cost
    assert not any(re.search(r'SELECT [^(]*"(content|reasoning)"', statement) for statement in statements)
    assert "no-store" in response.headers["Cache-Control"]
    assert response.text.count("<mark>") == min(number, search.TITLES) + min(3 * number, search.MESSAGES)


def test_the_page_of_search_costs_the_same_however_much_is_found(owner: Client, ada: User):
    make_conversation(ada)
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            find(owner, "because")
        counts.append(len(queries))
        for _ in range(5):
            make_conversation(ada)
    assert counts[0] == counts[1]


def test_the_palette_changes_the_theme_alone(owner: Client):
    User.objects.update(single_keys=False)
    changed = owner.post("/preferences/theme/", {"theme": "dark", "next": "/search/"})
    assert changed.headers["Location"] == "/search/"
    elsewhere = owner.post("/preferences/theme/", {"theme": "dark", "next": "https://example.com/"})
    assert elsewhere.headers["Location"] == "/preferences/"
    assert owner.post("/preferences/theme/", {"theme": "pink"}).status_code == 400
    assert owner.get("/preferences/theme/").status_code == 405
    user = User.objects.get()
    assert (user.theme, user.single_keys) == (Theme.DARK, False)


def test_commands_are_those_that_the_page_has(owner: Client, conversation: Conversation):
    assert 'id="palette-rename"' not in owner.get("/").text
    assert 'id="palette-rename"' in owner.get(conversation.get_absolute_url()).text
    assert 'id="palette-administration"' not in owner.get("/").text


def test_the_administration_has_no_palette(client: Client, ada: User):
    User.objects.update(is_staff=True, is_superuser=True)
    client.force_login(ada)
    page = client.get("/admin/").text
    assert "palette" not in page


def test_words_are_marked_in_the_message_that_was_found_only(owner: Client, ada: User):
    conversation = make_conversation(ada, prompt="Is <b>sorb</b> & plum a plant?")
    question = conversation.messages.get(parent=None)
    url = conversation.get_absolute_url()
    page = owner.get(url, {"found": question.pk, "find": "sorb amp"}).text
    assert "Is &lt;b&gt;<mark>sorb</mark>&lt;/b&gt; &amp; plum a plant?" in page
    assert page.count("<mark>") == 1
    for query in ({"find": "sorb"}, {"found": question.pk}, {"found": question.pk + 1, "find": "sorb"}):
        assert "<mark>" not in owner.get(url, query).text
