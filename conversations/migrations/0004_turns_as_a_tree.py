from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0003_preferences")]

    operations = [
        migrations.AddField("generation", "joined_at", models.PositiveIntegerField(null=True)),
        migrations.AddField("generation", "without_thinking", models.BooleanField(default=False)),
    ]
