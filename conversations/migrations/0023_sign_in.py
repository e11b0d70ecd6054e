import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0022_usage_ledger")]

    operations = [
        # Nullable, so that SQLite does not rebuild the table and an earlier version of the site can keep running.
        migrations.AddField(
            model_name="user",
            name="password_expires_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.CreateModel(
            name="UsedInvitation",
            fields=[
                ("digest", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("used_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.CreateModel(
            name="SignInAttempt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ("account", models.CharField(max_length=64)),
                ("address", models.CharField(max_length=64)),
                ("browser", models.CharField(blank=True, max_length=64)),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["account", "at"], name="attempt_account"),
                    models.Index(fields=["address", "at"], name="attempt_address"),
                ],
            },
        ),
    ]
