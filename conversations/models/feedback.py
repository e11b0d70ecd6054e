from django.db import models
from django.utils import timezone


class Rating(models.TextChoices):
    GOOD = "good", "Good"
    BAD = "bad", "Poor"
    REPORT = "report", "Report a problem"


class Feedback(models.Model):
    """The owner's feedback on an answer, and whether reviewers may see it. `created_at` is when it was last changed."""

    message = models.OneToOneField("Message", models.CASCADE, related_name="feedback")
    # Denormalised to filter conversations by rating without joining messages.
    conversation = models.ForeignKey("Conversation", models.CASCADE, related_name="+")
    rating = models.CharField(max_length=6, choices=Rating)
    comment = models.TextField("Comment (optional)", max_length=2000, blank=True)
    shared = models.BooleanField("Let reviewers read this conversation", default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Feedback {self.pk}"
