"""Hostile input: markup, addresses, structures, formulas and characters that try to do harm."""

import json
from pathlib import Path

HOSTILE: list[str] = json.loads((Path(__file__).parent / "hostile.json").read_text())

# Enormous input, by name.
ENORMOUS: dict[str, str] = {
    "brackets": "[" * 1_000_000,
    "one line": "x" * 5_000_000,
    "spaces": "- a\n" + " " * 200_000 + "x",
    "quotations": ">" * 10_000 + "a",
    "lists": "- " * 10_000 + "a",
    "lists and blank lines": "- " * 5_000 + "a" + "\n" * 50_000,
    "indented lists": "\n".join("  " * depth + "- a" for depth in range(300)),
    "emphasis": "*a **b " * 30_000,
    "stars": "*" * 100_000,
    "nested emphasis": "*a" * 5_000 + "a*" * 5_000,
    "backticks": " ".join("`" * length for length in range(700)),
    "links": "[a](" * 50_000,
    "images": "![" * 50_000,
    "brackets after an address": "https://a.example/" + ")" * 100_000,
    "addresses": "www." * 50_000 + "a." * 50_000 + "@" + "b." * 50_000,
    "references": "[a]: /" + "u" * 1_000 + "\n\n" + "[a] " * 20_000,
    "entities": "&" * 100_000,
    "tags": "<div>" * 30_000,
    "comments": "<!--" * 50_000,
    "columns": "|a" * 3_000 + "|\n" + "|-" * 3_000 + "|\n" + "|\n" * 3_000,
    "footnotes": "a[^1]" * 20_000 + "\n\n[^1]: b",
    "footnote definitions": "[^1]: a\n" * 20_000,
    "dollars": "$a " * 50_000,
    "formulas": "$x$ " * 5_000,
    "openings of formulas": "\\(" * 100_000 + "\\[" * 100_000,
    "braces in a formula": "$" + "{" * 900 + "x" + "}" * 900 + "$",
    "roots in a formula": "$" + "\\sqrt" * 399 + " x$",
    "fractions in a formula": "$" + "\\frac{" * 300 + "x" + "}" * 300 + "$",
    "a long formula": "$" + "x^2+" * 50_000 + "$",
    "a macro that multiplies": "$\\newcommand\\a{" + "x" * 1_000 + "}" + "\\a" * 490 + "$",
    "a macro without end": "$\\newcommand\\a{\\a\\a}\\a$",
    "fences": "```\n" * 50_000,
    "code for a slow lexer": "```c\n" + "\n" * 12_000 + "```",
    "lines": "a\n" * 100_000,
    "headings": "a\n=\n" * 20_000,
}
