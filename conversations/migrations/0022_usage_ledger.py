import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("conversations", "0021_time_zone"),
    ]

    operations = [
        # Nullable, so that SQLite does not rebuild the table and an earlier version of the site can keep running.
        migrations.AddField("generation", "tokens_estimated", models.BooleanField(null=True)),
        migrations.AddField("generation", "reserved_tokens", models.BigIntegerField(null=True)),
        migrations.AddField(
            "dailyusage", "deleted_account", models.CharField(blank=True, db_default="", max_length=64)
        ),
        migrations.AlterField(
            "dailyusage",
            "user",
            models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="usage",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            "dailyusage",
            models.Index(
                condition=models.Q(("deleted_account", ""), _negated=True),
                fields=["deleted_account"],
                name="usage_of_deleted_accounts",
            ),
        ),
        migrations.AddIndex("dailyusage", models.Index(fields=["day"], name="usage_by_day")),
    ]
