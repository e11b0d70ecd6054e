"""What a model writes becomes safe HTML."""

from html.parser import HTMLParser

import pytest

from conversations.rendering import markdown

ALLOWED_SCHEMES = ("http://", "https://", "mailto:", "#")


class Reader(HTMLParser):
    """Collect every tag with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def render(text: str) -> str:
    return markdown.render(text, prefix="m1")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("# Title", "<h3"),
        ("**bold** and *soft*", "<strong>bold</strong> and <em>soft</em>"),
        ("~~gone~~", "<del>gone</del>"),
        ("- one\n- two", '<li dir="auto">one</li>'),
        ("- [x] done", 'type="checkbox"'),
        ("| a |\n|--:|\n| 1 |", '<td class="align-right">1</td>'),
        ("> quoted", "<blockquote"),
        ("`x < y`", "<code>x &lt; y</code>"),
        ("```python\nx = 1\n```", 'data-language="python"'),
        ("```\n<b>\n```", "&lt;b&gt;"),
        ("$x^2$", "<msup>"),
        (r"\(x^2\)", "<msup>"),
        ("$$\nx^2\n$$", '<math display="block"'),
        ("a[^1]\n\n[^1]: note", "m1"),
        ("$5 and $10", "$5 and $10"),
        ("[a](https://example.org)", 'rel="noopener noreferrer nofollow"'),
        ("![a picture](https://example.org/x.png)", "<a"),
    ],
)
def test_markdown_is_rendered(text: str, part: str):
    assert part in render(text)


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><animate onbegin=alert(1) attributeName=x></svg>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href=javascript:alert(1)>x</a>",
    "<math><mtext><script>alert(1)</script></mtext></math>",
    "<style>*{color:red}</style>",
    "<div style='position:fixed' hx-get='/' hx-trigger='load'>x</div>",
    "<form action=/admin/><button>x</button></form>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "[x](file:///etc/passwd)",
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    '![x](https://tracker.example/p.png"onload=alert(1))',
    "`<script>alert(1)</script>`",
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "```python onmouseover=alert(1)\nx\n```",
    "$\\href{javascript:alert(1)}{x}$",
    "$\\text{<img src=x onerror=alert(1)>}$",
    "$\\style{color:red}{x}$",
    "$\\class{evil}{x}$",
    "$$\\begin{matrix}<script>\\end{matrix}$$",
    "\\(<img src=x onerror=alert(1)>\\)",
    "| <script> |\n|---|\n| <img onerror=x> |",
    "a[^<script>]\n\n[^<script>]: x",
    "# <img src=x onerror=alert(1)>",
    "<!-- --><script>alert(1)</script>",
    "<![CDATA[<script>alert(1)</script>]]>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_markup_leaves_no_executable_or_styled_node(text: str):
    reader = Reader(render(text))
    for tag, attributes in reader.tags:
        assert tag not in {"script", "style", "img", "svg", "iframe", "form", "object", "embed", "link", "base", "meta"}
        for name, value in attributes.items():
            assert not name.startswith(("on", "hx-", "data-hx"))
            assert name not in {"style", "srcdoc", "formaction"}
            if name in {"href", "src"}:
                assert value.startswith(ALLOWED_SCHEMES), value


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        ">" * 10_000,
        "- " * 10_000,
        "*" * 100_000,
        "`" * 100_000,
        "x" * 5_000_000,
        "$" + "{" * 5_000 + "}" * 5_000 + "$",
        "$" + "\\frac{" * 3_000 + "$",
        "<div>" * 50_000,
        "|" * 50_000 + "\n" + "|-" * 50_000,
        "[a](" * 50_000,
        "![" * 50_000,
        "&" * 100_000,
        "a\n" * 200_000,
    ],
    ids=lambda text: repr(text[:8]),
)
def test_enormous_or_deep_input_is_rendered_or_shown_plain(text: str):
    html = render(text)
    assert html
    assert len(html) < 60 * len(text) + 10_000
