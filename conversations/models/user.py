from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """A person who signs in. allauth keeps the e-mail addresses, verified and unique, beside it."""

    @property
    def initials(self) -> str:
        """Return one or two letters to stand for the person where there is no room for the name."""
        words = (self.get_full_name() or self.username).replace("_", " ").replace(".", " ").split()
        return "".join(word[0] for word in words[:2]).upper()
