import django.core.validators
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("conversations", "0014_standard_model_names"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="conversation",
            options={
                "default_permissions": (),
                "permissions": [
                    ("list_conversations", "Can list conversations: owner, dates and outcome, without content"),
                    ("read_conversations", "Can read conversations: titles, questions and answers"),
                    ("read_reasoning", "Can read reasoning, in conversations they can read"),
                    ("export_conversations", "Can export conversations they can read"),
                ],
            },
        ),
        migrations.AlterField(
            model_name="feedback",
            name="comment",
            field=models.TextField(blank=True, max_length=2000, verbose_name="Comment (optional)"),
        ),
        migrations.AlterField(
            model_name="feedback",
            name="rating",
            field=models.CharField(
                choices=[("good", "Good"), ("bad", "Poor"), ("report", "Report a problem")], max_length=6
            ),
        ),
        migrations.AlterField(
            model_name="feedback",
            name="shared",
            field=models.BooleanField(default=False, verbose_name="Let reviewers read this conversation"),
        ),
        migrations.AlterField(
            model_name="legalhold",
            name="lifted_at",
            field=models.DateTimeField(blank=True, help_text="When the hold ended. Empty while in force.", null=True),
        ),
        migrations.AlterField(
            model_name="legalhold",
            name="made_at",
            field=models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created at"),
        ),
        migrations.AlterField(
            model_name="legalhold",
            name="reason",
            field=models.CharField(
                help_text="The order or case that requires it. Only shown here and in the audit trail.", max_length=200
            ),
        ),
        migrations.AlterField(
            model_name="queueitem",
            name="verdict",
            field=models.CharField(
                blank=True,
                choices=[
                    ("fine", "No problem"),
                    ("poor", "Poor answer"),
                    ("unsafe", "Unsafe answer"),
                    ("misuse", "Misuse of the site"),
                ],
                max_length=6,
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="outcome",
            field=models.CharField(
                blank=True,
                choices=[("filtered", "Filtered"), ("failed", "Failed")],
                max_length=11,
                verbose_name="outcome of the answer",
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="percent",
            field=models.DecimalField(
                decimal_places=2,
                default=100,
                help_text="Without words and outcome, this is a random sample of all answers. /privacy/ shows the percentage.",
                max_digits=5,
                validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)],
                verbose_name="percentage to queue",
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="words",
            field=models.TextField(blank=True, help_text="One word or phrase per line. Empty: any question or answer."),
        ),
        migrations.AlterField(
            model_name="user",
            name="reasoning",
            field=models.CharField(
                choices=[
                    ("thinking", "Show while the model is thinking"),
                    ("always", "Always show"),
                    ("never", "Hide until I open it"),
                ],
                default="thinking",
                max_length=8,
                verbose_name="reasoning",
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="review_groups",
            field=models.ManyToManyField(
                blank=True, related_name="reviewers", to="auth.group", verbose_name="groups this person can review"
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="review_limited",
            field=models.BooleanField(
                default=False,
                help_text="If no groups are selected, this reviewer cannot review anyone.",
                verbose_name="can review only the groups below",
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="single_keys",
            field=models.BooleanField(
                default=True, verbose_name="Use single-key shortcuts (press ? in a conversation to list them)"
            ),
        ),
        migrations.AlterField(
            model_name="user",
            name="theme",
            field=models.CharField(
                blank=True,
                choices=[("", "Same as my device"), ("light", "Light"), ("dark", "Dark")],
                default="",
                max_length=5,
                verbose_name="theme",
            ),
        ),
    ]
