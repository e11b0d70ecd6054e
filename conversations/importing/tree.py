"""Make the messages of a file a valid tree: questions and answers alternate, and every branch ends with an answer."""

from conversations.importing.items import NotImportable
from conversations.importing.parsed import MESSAGES, Node, Parsed
from conversations.models import Role


def arrange(parsed: Parsed) -> None:
    """Add an empty message wherever a question or an answer is missing. Raises `NotImportable`."""
    known: dict[str, Node] = {}
    added: dict[tuple[str | None, str], str] = {}  # the keys of messages that were added, by parent and role
    nodes: list[Node] = []

    def add_missing(parent: str | None, role: str, like: Node) -> str:
        if key := added.get((parent, role)):
            return key
        # No file has such a key, because keys of files are no longer than `ID_CHARACTERS`.
        node = Node(f"{len(added):0>300}", parent, role, created_at=like.created_at)
        nodes.append(node)
        known[node.key] = node
        added[parent, role] = node.key
        return node.key

    for node in parsed.nodes:
        if node.key in known:
            raise NotImportable("Two of its messages have the same id.")
        if node.parent is not None and node.parent not in known:
            raise NotImportable("A message comes before the one that it follows.")
        before = known[node.parent].role if node.parent is not None else Role.ASSISTANT
        if before == node.role:
            other = Role.ASSISTANT if node.role == Role.USER else Role.USER
            node.parent = add_missing(node.parent, other, node)
        nodes.append(node)
        known[node.key] = node
    parents = {node.parent for node in nodes}
    for node in nodes:
        if node.role == Role.USER and node.key not in parents:
            add_missing(node.key, Role.ASSISTANT, node)
    if not nodes:
        raise NotImportable("It has no messages.")
    if len(nodes) > MESSAGES:
        raise NotImportable(f"It has more than {MESSAGES:,} messages.")
    leaf = parsed.leaf if parsed.leaf in known else nodes[-1].key
    parsed.leaf = added.get((leaf, Role.ASSISTANT), leaf)
    parsed.nodes = nodes
