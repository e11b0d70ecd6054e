import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Keep the verdict when its conversation is deleted. Replicas of the version before still delete both."""

    dependencies = [
        ("conversations", "0017_daily_usage"),
    ]

    operations = [
        migrations.AlterField(
            model_name="queueitem",
            name=name,
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="queue_items",
                to=f"conversations.{name}",
            ),
        )
        for name in ("conversation", "message")
    ]
