from typing import Any

from django.db import migrations

# Substrings of three or more characters are found by trigrams; shorter ones, such as most Chinese words, by words, where
# each Chinese, Japanese or Korean character is one. Django's `icontains` compares `upper`. Only the first 150,000
# characters of a text are split into words, because a tsvector is limited to a megabyte.
POSTGRESQL = r"""
create extension if not exists pg_trgm;
create function conversations_words(text) returns tsvector language sql immutable parallel safe as $$
    select to_tsvector('simple'::regconfig, regexp_replace(
        left($1, 150000), '([\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff])', ' \1 ', 'g'))
$$;
create index message_content_trigrams on conversations_message using gin (upper(content) gin_trgm_ops);
create index message_reasoning_trigrams on conversations_message using gin (upper(reasoning) gin_trgm_ops);
create index message_content_words on conversations_message using gin (conversations_words(content));
create index message_reasoning_words on conversations_message using gin (conversations_words(reasoning));
"""
# The index has no copy of the texts; triggers update it. A migration for which Django rebuilds the table of messages must
# create the triggers again.
SQLITE = [
    """create virtual table conversations_message_search using fts5
(content, reasoning, content='conversations_message', content_rowid='id', tokenize='trigram')""",
    """create trigger search_learns after insert on conversations_message
begin
    insert into conversations_message_search (rowid, content, reasoning) values (new.id, new.content, new.reasoning);
end""",
    """create trigger search_forgets after delete on conversations_message
begin
    insert into conversations_message_search (conversations_message_search, rowid, content, reasoning)
    values ('delete', old.id, old.content, old.reasoning);
end""",
    """create trigger search_changes after update of content, reasoning on conversations_message
begin
    insert into conversations_message_search (conversations_message_search, rowid, content, reasoning)
    values ('delete', old.id, old.content, old.reasoning);
    insert into conversations_message_search (rowid, content, reasoning) values (new.id, new.content, new.reasoning);
end""",
    "insert into conversations_message_search (conversations_message_search) values ('rebuild')",
]


def make(apps: Any, schema_editor: Any) -> None:
    for statement in [POSTGRESQL] if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0008_newest_of_all")]

    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
