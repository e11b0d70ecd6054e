from django.conf import settings
from django.db import models


class StoredText(models.Model):
    """The size of a user's prompts, answers and reasoning, in bytes of UTF-8. Without a row: none.

    Triggers keep it up to date (migration 0020), so that it is right whatever writes or deletes messages, and locked
    from each write to the end of its transaction. Whoever writes to a conversation, to `DailyUsage` and to messages
    does so in this order: then two transactions do not wait for each other.
    """

    # Without a constraint: a version from before this table, side by side or after a rollback, can delete users.
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="stored_text", db_constraint=False
    )
    bytes = models.BigIntegerField(db_default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Stored text of user {self.pk}"
