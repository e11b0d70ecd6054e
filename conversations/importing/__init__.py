"""Import conversations: exports of this kind of site, of ChatGPT and of Open WebUI.

`items` cuts a file into conversations in bounded memory, `sources` finds what a file is, `ponder`, `chatgpt` and
`open_webui` read one conversation each, `tree` makes its messages fit, and `write` stores it in one transaction.
"""

from conversations.importing.run import Report, import_file

__all__ = ["Report", "import_file"]
