"""What a reviewer may be granted, apart from each other. Nobody has any of it by being a superuser."""

LIST = "list_conversations"
READ = "read_conversations"
REASONING = "read_reasoning"
EXPORT = "export_conversations"

REVIEW = {
    LIST: "Can list conversations: whose, when and how they ended, without any content",
    READ: "Can read conversations: titles, prompts and answers",
    REASONING: "Can read what models thought, beside what may be read",
    EXPORT: "Can export what may be read",
}


def full(codename: str) -> str:
    """Return a permission's name as `User.has_perm` takes it."""
    return f"conversations.{codename}"
