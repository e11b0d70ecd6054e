from django.contrib.auth.models import AbstractUser
from django.db import models


class Theme(models.TextChoices):
    SYSTEM = "", "As the system"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class Fold(models.TextChoices):
    """When the pane with a model's reasoning stands open by itself."""

    THINKING = "thinking", "Open while the model thinks"
    ALWAYS = "always", "Always open"
    NEVER = "never", "Closed until you open it"


class User(AbstractUser):
    """A person who signs in, and how they like the page. allauth keeps the e-mail addresses, verified, beside it."""

    theme = models.CharField("colours", max_length=5, choices=Theme, default=Theme.SYSTEM, blank=True)
    reasoning = models.CharField("the model's reasoning", max_length=8, choices=Fold, default=Fold.THINKING)
    single_keys = models.BooleanField("Single keys are shortcuts (press ? on a page for the list)", default=True)

    @property
    def initials(self) -> str:
        """Return one or two letters to stand for the person where there is no room for the name."""
        words = (self.get_full_name() or self.username).replace("_", " ").replace(".", " ").split()
        return "".join(word[0] for word in words[:2]).upper()
