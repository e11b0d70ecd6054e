from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0018_verdicts_outlive_answers")]

    operations = [
        # Nullable, so that SQLite does not rebuild the table and an earlier version of the site can keep running.
        migrations.AddField(model_name="generation", name="endpoint_error", field=models.TextField(null=True)),
    ]
