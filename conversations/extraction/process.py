"""Read a file in a process of its own, which ends with it."""

from pathlib import Path

from conversations.extraction.result import Extracted, Limits


def extract(path: Path, name: str, limits: Limits = Limits()) -> Extracted:  # noqa: B008
    """Return what is in the file at `path`, which its owner calls `name`. Blocks the caller for up to a minute.

    A file that cannot be read is a result with a `problem`, also if the process that reads it hangs, crashes or is
    killed. Raises OSError only if `path` itself cannot be opened.
    """
    raise NotImplementedError
