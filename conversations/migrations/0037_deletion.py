from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("conversations", "0036_archives_and_imports")]

    operations = [
        migrations.AddField("conversation", "deleted_at", models.DateTimeField(editable=False, null=True)),
        migrations.AddIndex(
            "conversation",
            models.Index(condition=Q(deleted_at__isnull=False), fields=["deleted_at"], name="conversation_deleted"),
        ),
    ]
