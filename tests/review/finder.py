"""Look for texts in the database of the environment: `python -m tests.review.finder`, with JSON in and out.

A process of its own, since a test run has one kind of database.
"""

import json
import os
import sys

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    django.setup()
    from conversations.models import Conversation, Message, User

    asked = json.load(sys.stdin)
    conversation = Conversation.objects.create(owner=User.objects.create(username="owner"), title="Texts")
    for name, text in asked["texts"].items():
        Message.objects.create(conversation=conversation, role="user", content=text, reasoning=f"{name} text")
    names = dict(Message.objects.values_list("pk", "reasoning"))

    def find(query: str, **where: bool) -> list[str]:
        found = Message.objects.visible_to(conversation.owner).matching(query, **where)
        return [names[pk].removesuffix(" text") for pk in found.values_list("pk", flat=True)]

    answers = {query: find(query) for query in asked["queries"]}
    latin = Message.objects.filter(reasoning="latin text")
    latin.update(content="A slow green frog")
    answers["after a change"] = [find("quick"), find("frog")]
    latin.delete()
    answers["after a deletion"] = find("frog")
    answers["in reasoning"] = find("apanes", reasoning=True)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
