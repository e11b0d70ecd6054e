"""The permissions of reviewers. They are independent of each other, and superusers do not have them by default."""

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
    """Return a permission's name with its app label, as `User.has_perm` expects it."""
    return f"conversations.{codename}"
