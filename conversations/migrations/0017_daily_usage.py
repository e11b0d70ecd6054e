from itertools import islice
from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q, Sum
from django.db.models.functions import TruncDate

BATCH = 1_000  # rows in memory
COLUMNS = ("user_id", "model", "day", "input_tokens", "output_tokens", "reasoning_tokens")


def add_past_usage(apps: Any, schema_editor: Any) -> None:
    """Add up the tokens of all generations that have ended, by user, day of the end and model."""
    usage = apps.get_model("conversations", "DailyUsage")
    uncounted = Q(prompt_tokens=None, answer_tokens=None, reasoning_tokens=None)
    ended = apps.get_model("conversations", "Generation").objects.exclude(uncounted | Q(finished_at=None))
    sums = ended.order_by().values_list("owner", "model", TruncDate("finished_at"))
    sums = sums.annotate(*(Sum(column, default=0) for column in ("prompt_tokens", "answer_tokens", "reasoning_tokens")))
    rows = (usage(**dict(zip(COLUMNS, row, strict=True))) for row in sums.iterator(BATCH))
    while batch := list(islice(rows, BATCH)):
        usage.objects.bulk_create(batch)


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("conversations", "0016_site"),
    ]

    operations = [
        migrations.CreateModel(
            name="DailyUsage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField()),
                ("model", models.CharField(max_length=200)),
                ("input_tokens", models.BigIntegerField(db_default=0)),
                ("output_tokens", models.BigIntegerField(db_default=0)),
                ("reasoning_tokens", models.BigIntegerField(db_default=0)),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="usage",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("user", "day", "model"), name="one_usage_of_a_day_and_model")
                ],
            },
        ),
        migrations.RunPython(add_past_usage, migrations.RunPython.noop),
    ]
