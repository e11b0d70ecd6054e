"""Users search their own titles, questions, answers and reasoning, at a real site."""

from tests.endpoint import Endpoint, Exchange
from tests.site import Person


def test_search_finds_own_texts_only(make_person, shared_endpoint: Endpoint):
    async def answer(exchange: Exchange) -> None:
        await exchange.reason("a thought of quinces")
        await exchange.answer("Plant the <b>medlar</b> in autumn. 枇杷很好吃。")
        await exchange.finish()

    shared_endpoint.respond = answer
    ada, bob = make_person(), make_person()
    conversation = ada.ask("When do I plant a loquat?")
    ada.await_end(conversation)

    def find(person: Person, words: str) -> str:
        answer = person.http.get("/search/", params={"q": words})
        assert answer.status_code == 200
        return answer.text

    for words in ("loquat", "MEDLAR autumn", "枇杷"):
        page = find(ada, words)
        assert f'href="{conversation}?message=' in page
        assert "<mark>" in page
        assert "No results." in find(bob, words)
    assert "&lt;b&gt;<mark>medlar</mark>&lt;/b&gt;" in find(ada, "medlar")
    reasoning = find(ada, "quinces")
    assert "Reasoning, " in reasoning
    assert "a thought of <mark>quinces</mark>" in reasoning
    assert "/reasoning/?q=quinces#step-" in reasoning
    assert "No results." in find(bob, "quinces")
    assert "Use 200 characters or fewer" in find(ada, "x" * 201)
