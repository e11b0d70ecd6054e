from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0025_outline")]

    operations = [
        # Nullable and with this kind of default, so that SQLite does not rebuild the table, to which triggers refer. Nothing
        # stores a null. The default is the database's, so that an earlier version can keep adding conversations.
        migrations.AddField(
            model_name="conversation",
            name="placement",
            field=models.SmallIntegerField(
                choices=[(0, "Archived"), (1, "Listed"), (2, "Pinned")], db_default=models.Value(1), null=True
            ),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(fields=["owner", "-placement", "-updated_at", "-id"], name="conversation_listed"),
        ),
        # An earlier version, beside this one, finds one owner's conversations by another index and sorts them itself.
        migrations.RemoveIndex(model_name="conversation", name="conversation_newest_first"),
    ]
