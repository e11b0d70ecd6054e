from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0011_days_of_use")]

    operations = [
        # It may be null, so that SQLite need not build the table anew, and an earlier version of the site can go on.
        migrations.AddField(model_name="message", name="reasoning_words", field=models.PositiveIntegerField(null=True)),
    ]
