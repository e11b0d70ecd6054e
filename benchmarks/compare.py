"""Measure the CPU time to compare two answers of 50,000 characters: `python -m benchmarks.compare`."""

import os
import time
from collections.abc import Callable

import django

from benchmarks.page import code, prose

RUNS = 5
CHARACTERS = 50_000


def table(characters: int) -> str:
    """Return a table of about this many characters."""
    rows = "".join(
        f"| name {number} | a value of {number * 7} | some more words |\n" for number in range(characters // 50)
    )
    return f"| name | value | note |\n|---|---|---|\n{rows}"


def edited(text: str) -> str:
    """Return a text with two more words in every third line, and every tenth line missing."""
    lines = text.split("\n")
    return "\n".join(
        f"{line} as edited" if at % 3 == 0 else line for at, line in enumerate(lines) if at % 10 != 9 or at < 4
    )


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    os.environ.setdefault("SECRET_KEY", "not-used")
    django.setup()
    from conversations.rendering import compare, markdown

    texts: dict[str, Callable[[int], str]] = {"prose": prose, "code": code, "table": table}
    print(f"{'text':8}{'blocks':>8}{'render ms':>11}{'compare ms':>12}")
    for name, make in texts.items():
        text = make(CHARACTERS)
        for _ in range(RUNS):
            started = time.process_time()
            old, new = (
                markdown.render(each, prefix=f"c{number}", highlighted=False)
                for number, each in enumerate((text, edited(text)), 1)
            )
            rendered = time.process_time()
            rows = compare.rows(old, new)
            ended = time.process_time()
            print(f"{name:8}{len(rows):8,}{(rendered - started) * 1000:11.0f}{(ended - rendered) * 1000:12.0f}")


if __name__ == "__main__":
    main()
