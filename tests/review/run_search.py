"""Search texts in the database that the environment names: `python -m tests.review.run_search <JSON>`. It prints JSON.

In a process of its own, because a test run has one kind of database.
"""

import json
import os
import sys

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    django.setup()
    from conversations.models import Attachment, Conversation, Message, StoredFile, User

    given = json.loads(sys.argv[1])
    conversation = Conversation.objects.create(owner=User.objects.create(username="owner"), title="Texts")
    for name, text in given["texts"].items():
        Message.objects.create(conversation=conversation, role="user", content=text, reasoning=f"{name} text")
    names = dict(Message.objects.values_list("pk", "reasoning"))

    def search(query: str, **options: bool) -> list[str]:
        found = Message.objects.visible_to(conversation.owner).matching(query, **options)
        return [names[pk].removesuffix(" text") for pk in found.values_list("pk", flat=True)]

    results = {query: search(query) for query in given["queries"]}
    latin = Message.objects.filter(reasoning="latin text")
    latin.update(content="A slow green frog")
    results["after a change"] = [search("quick"), search("frog")]
    latin.delete()
    results["after a deletion"] = search("frog")
    results["in reasoning"] = search("apanes", reasoning=True)
    conversation.title = "Straßen und ÄPFEL"
    conversation.save()
    own = Conversation.objects.visible_to(conversation.owner)
    results["in titles"] = [own.titled(query).count() for query in ("äpfel stra", "apfel", "%", "_", "(", "  ")]
    places = []
    for query in ("text", "北京", "chinese TEXT", "首都 text", "ai", "  "):
        found = Message.objects.visible_to(conversation.owner).found_anywhere(query, 2)
        places.append([[names[m.pk].removesuffix(" text"), m.in_content, m.in_reasoning] for m in found])
    results["anywhere"] = places
    texts = {"Äpfel.csv": "Preis", "birnen.txt": "x" * 99_990 + " Äpfel zu spät", "not sent": "äpfel"}
    prompt = Message.objects.latest("pk")
    for name, text in texts.items():
        stored = StoredFile.objects.create(owner=conversation.owner, sha256=name, size=1, bytes=1, text=text)
        message = None if name == "not sent" else prompt
        Attachment.objects.create(owner=conversation.owner, message=message, stored=stored, name=name)
    files = Attachment.objects.visible_to(conversation.owner)
    results["in files"] = [
        sorted(file.name for file in files.found(query, 2)) for query in ("äPFEL", "preis äpfel", "spät", "%", "  ")
    ]
    other = User.objects.create(username="other")
    results["of others"] = [
        len(Message.objects.visible_to(other).found_anywhere("text", 2)),
        Conversation.objects.visible_to(other).titled("äpfel").count(),
        len(Attachment.objects.visible_to(other).found("äpfel", 2)),
    ]
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
