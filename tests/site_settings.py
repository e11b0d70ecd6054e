"""The settings of the sites that tests start: those of any site, except for what only costs time.

Tests sign up hundreds of people, and hashing a password as it should be takes as long as fifty pages. A test that waits
for a worker to be taken for dead sets TEST_DEAD_SECONDS.
"""

import os
from pathlib import Path

import tests.probe  # noqa: F401
from chatsite.settings import *  # noqa: F403
from chatsite.settings import DEAD_SECONDS

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEAD_SECONDS = float(os.environ.get("TEST_DEAD_SECONDS", DEAD_SECONDS))
MFA_TOTP_TOLERANCE = 1  # the code that a test computes may be of the half minute before the one in which it arrives
if _files := STORAGES["default"]["OPTIONS"].get("location"):  # noqa: F405
    FILE_UPLOAD_TEMP_DIR = Path(f"{_files}-uploads")
    FILE_UPLOAD_TEMP_DIR.mkdir(parents=True, exist_ok=True)
if os.environ.get("TEST_DIE_AT"):
    STORAGES["default"]["BACKEND"] = "tests.dying_storage.DyingStorage"  # noqa: F405
