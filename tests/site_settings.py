"""The settings of the sites that tests start: those of any site, and a password's hash that costs nothing.

Tests sign up hundreds of people, and hashing a password as it should be takes as long as fifty pages.
"""

from chatsite.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
