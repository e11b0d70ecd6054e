from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0011_days_of_use")]

    operations = [
        # Nullable, so that SQLite does not rebuild the table and an earlier version of the site can keep running.
        migrations.AddField(model_name="message", name="reasoning_words", field=models.PositiveIntegerField(null=True)),
    ]
