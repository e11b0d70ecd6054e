from typing import Any

from django.db import migrations, models

from conversations.models.words import count_words

BATCH = 500
LIVE = ("queued", "thinking", "answering")


def count(apps: Any, schema_editor: Any) -> None:
    """Count what was thought. What is being generated is counted at its end."""
    message = apps.get_model("conversations", "Message")
    ended = message.objects.filter(role="assistant").exclude(generations__status__in=LIVE)
    ended.filter(reasoning="").update(reasoning_words=0)
    last = 0
    while batch := list(ended.filter(reasoning_words=None, pk__gt=last).only("reasoning").order_by("pk")[:BATCH]):
        for thought in batch:
            thought.reasoning_words = count_words(thought.reasoning)
        message.objects.bulk_update(batch, ["reasoning_words"])
        last = batch[-1].pk


class Migration(migrations.Migration):
    dependencies = [("conversations", "0011_days_of_use")]

    operations = [
        # It may be null, so that SQLite need not build the table anew, and an earlier version of the site can go on.
        migrations.AddField(model_name="message", name="reasoning_words", field=models.PositiveIntegerField(null=True)),
        migrations.RunPython(count, migrations.RunPython.noop, elidable=True),
    ]
