"""Static files: those that a page needs together are served as one file, so that it is shown after few requests.

They are joined by `collectstatic`. With DEBUG, pages name the single files.
"""

from collections.abc import Iterator
from typing import Any, Final

from django.core.files.base import ContentFile
from whitenoise.storage import CompressedManifestStaticFilesStorage

# Style sheets in the order in which they apply. Scripts are modules that import nothing.
BUNDLES: Final = {
    "bundles/site.css": ("css/tokens.css", "css/base.css", "css/notice.css"),
    "bundles/conversation.css": (
        "css/sidebar.css",
        "css/thread.css",
        "css/message.css",
        "css/thought.css",
        "css/prose.css",
        "css/composer.css",
        "css/palette.css",
        "css/choice.css",
    ),
    "bundles/conversation.js": (
        "js/composer.js",
        "js/choice.js",
        "js/drafts.js",
        "js/panels.js",
        "js/list.js",
        "js/options.js",
        "js/shortcuts.js",
        "js/articles.js",
        "js/versions.js",
        "js/reasoning.js",
        "js/socket.js",
        "js/clock.js",
        "js/announcer.js",
        "js/scroll.js",
        "js/copy.js",
        "js/edit.js",
        "js/palette.js",
        "js/found.js",
        "js/tab-stops.js",
    ),
    # Of pages beside the list of conversations on which nobody can ask.
    "bundles/beside.js": (
        "js/drafts.js",
        "js/panels.js",
        "js/list.js",
        "js/options.js",
        "js/shortcuts.js",
        "js/palette.js",
        "js/found.js",
    ),
}


class BundledStorage(CompressedManifestStaticFilesStorage):
    """WhiteNoise's storage of compressed files with hashes in their names, and with the bundles."""

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """Join the bundles' files, then process everything. `paths` has a storage and a path for each name."""
        if not dry_run:
            for name, sources in BUNDLES.items():
                content = join(name, [_read(*paths[source]) for source in sources])
                self.delete(name)
                self.save(name, ContentFile(content))
                paths[name] = (self, name)
        yield from super().post_process(paths, dry_run, **options)


def join(name: str, contents: list[str]) -> str:
    """Return the content of the bundle `name`. Each script keeps names of its own, as a module does."""
    if name.endswith(".js"):
        contents = [f"{{\n{content}}}\n" for content in contents]
    return "".join(contents)


def _read(storage: Any, path: str) -> str:
    with storage.open(path) as file:
        return str(file.read().decode())
