from typing import Any

from django.db import migrations, models
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Substr

BATCH = 1_000  # rows in memory, and of one statement
CHARACTERS = 80  # of a title


def note_titles_of_people(apps: Any, schema_editor: Any) -> None:
    """Find the conversations that somebody renamed: their title is not made of their first question."""
    conversations = apps.get_model("conversations", "Conversation").objects
    messages = apps.get_model("conversations", "Message").objects.filter(conversation=OuterRef("pk")).order_by("pk")
    first = Subquery(messages.annotate(start=Substr("content", 1, CHARACTERS * 10)).values("start")[:1])
    rows = conversations.order_by().values_list("pk", "title", first)
    renamed = [pk for pk, title, question in rows.iterator(BATCH) if title != title_from(question or "")]
    for start in range(0, len(renamed), BATCH):
        conversations.filter(pk__in=renamed[start : start + BATCH]).update(title_source="person")


def title_from(prompt: str) -> str:
    """Return the title that the site has always made of a question."""
    line = " ".join(prompt.split())
    if len(line) <= CHARACTERS:
        return line
    head = line[: CHARACTERS - 1]
    words, space, _ = head.rpartition(" ")
    return (words if space and len(words) > CHARACTERS // 2 else head).rstrip(" ,;:.") + "…"


class Migration(migrations.Migration):
    dependencies = [("conversations", "0030_instructions")]

    operations = [
        # Nullable and with this kind of default, as in 0026. Nothing stores a null.
        migrations.AddField(
            "conversation",
            "title_source",
            models.CharField(
                choices=[("automatic", "Automatic"), ("generated", "Generated"), ("person", "Person")],
                db_default=models.Value("automatic"),
                max_length=9,
                null=True,
            ),
        ),
        migrations.RunPython(note_titles_of_people, migrations.RunPython.noop),
    ]
