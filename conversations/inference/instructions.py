"""The system message: the site's prompt, then the instructions of the user, then those of the conversation."""

from collections.abc import Iterable, Sequence

from conversations.models import Instructions

Pieces = Sequence[str | Instructions]
Stored = str | list[str | int]


def system_pieces(site: str, instructions: Iterable[Instructions]) -> Pieces:
    """Return the parts of the system message in order; none if it is empty."""
    pieces: list[str | Instructions] = [site] if site else []
    for each in sorted(instructions, key=lambda each: each.conversation_id is not None):
        tag = "user_instructions" if each.conversation_id is None else "conversation_instructions"
        before = "\n\n" if pieces else ""
        pieces += [f"{before}<{tag}>\n", each, f"\n</{tag}>"]
    return pieces


def system_text(pieces: Pieces) -> str:
    return "".join(piece.content if isinstance(piece, Instructions) else piece for piece in pieces)


def stored_system(pieces: Pieces) -> Stored:
    """Return what a generation stores of its system message: its text, with ids in place of instructions.

    A version is not changed, and not deleted before the generation, so this costs no copy of it for each answer.
    """
    if any(isinstance(piece, Instructions) for piece in pieces):
        return [piece.pk if isinstance(piece, Instructions) else piece for piece in pieces]
    return system_text(pieces)


def restore_system(stored: Stored) -> str:
    """Return the text of a system message from what is stored of it; one query if there are instructions in it."""
    if isinstance(stored, str):
        return stored
    versions = Instructions.objects.in_bulk([piece for piece in stored if isinstance(piece, int)])
    found = [versions.get(piece, "") if isinstance(piece, int) else piece for piece in stored]
    return system_text(found)
