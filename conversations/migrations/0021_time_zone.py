from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0020_limits_of_users")]

    operations = [
        # Nullable, so that SQLite does not rebuild the table and an earlier version of the site can keep running.
        migrations.AddField("user", "time_zone", models.CharField(editable=False, max_length=64, null=True)),
    ]
