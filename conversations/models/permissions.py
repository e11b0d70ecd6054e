"""What a reviewer may be granted, apart from each other. Nobody has any of it by being a superuser."""

LIST = "list_conversations"
READ = "read_conversations"
REASONING = "read_reasoning"
EXPORT = "export_conversations"

REVIEW = {
    LIST: "Can list conversations: owner, dates and outcome, without content",
    READ: "Can read conversations: titles, questions and answers",
    REASONING: "Can read reasoning, in conversations they can read",
    EXPORT: "Can export conversations they can read",
}


def full(codename: str) -> str:
    """Return a permission's name as `User.has_perm` takes it."""
    return f"conversations.{codename}"
