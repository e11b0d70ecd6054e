"""Footnotes of one document: their numbers, references, and the section at the end."""

from html import escape


class Footnotes:
    """Number footnotes in the order of their first reference. `prefix` begins every id."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers: dict[str, int] = {}
        self._references: dict[str, list[str]] = {}
        self._notes: dict[str, str] = {}

    def refer(self, label: str) -> str:
        """Return a reference: a link to the footnote `label`."""
        number = self._numbers.setdefault(label, len(self._numbers) + 1)
        references = self._references.setdefault(label, [])
        repeat = f"-{len(references) + 1}" if references else ""
        references.append(f"{self._prefix}-ref-{number}{repeat}")
        href = f"#{self._prefix}-note-{number}"
        return f'<sup><a class="footnote" href="{href}" id="{references[-1]}">{number}</a></sup>'

    def define(self, label: str, html: str) -> None:
        """Store `html` as the text of `label`. The first definition counts, as it does for links."""
        self._notes.setdefault(label, html)

    def section(self) -> str:
        """Return the footnotes that have a reference, or "" if none has."""
        if not self._numbers:
            return ""
        items = "".join(self._item(label, number) for label, number in self._numbers.items())
        return f'<div class="footnotes" role="group" aria-label="Footnotes">\n<ol>\n{items}</ol>\n</div>\n'

    def _item(self, label: str, number: int) -> str:
        # At most eight links back: nobody needs a thousand arrows.
        back = " ".join(
            f'<a href="#{escape(reference)}" aria-label="Back to the text">\u21a9</a>'
            for reference in self._references[label][:8]
        )
        return f'<li id="{self._prefix}-note-{number}" dir="auto">\n{self._notes.get(label, "")}{back}</li>\n'
