"""Formulas rendered as MathML, within limits that keep the process alive."""

import re
import subprocess
import sys
import threading

import pytest

from conversations.rendering import markdown
from conversations.rendering.mathematics import MAX_FORMULA_CHARACTERS, protect, to_mathml
from tests.rendering.reader import read

SQUARE = "<msup><mi>x</mi><mn>2</mn></msup>"


def render(text: str) -> str:
    return markdown.render(text, prefix="m1")


@pytest.mark.parametrize(
    "text",
    [
        "$x^2$",
        r"\(x^2\)",
        r"其中\(x^2\)是",
        r"**\(x^2\)**",
        r"- \(x^2\)",
        r"# \(x^2\)",
    ],
)
def test_an_inline_formula_is_rendered_as_mathml(text: str):
    assert f"<math>{SQUARE}</math>" in render(text)


@pytest.mark.parametrize(
    "text",
    [
        "$$x^2$$",
        "$$\nx^2\n$$",
        r"\[x^2\]",
        "\\[\nx^2\n\\]",
        r"so \[x^2\] holds",
        "- \\[\n  x^2\n  \\]",
        "> \\[\n> x^2\n> \\]",
        "1. > $$\n   > x^2\n   > $$",
    ],
)
def test_a_displayed_formula_is_rendered_as_a_block_of_mathml(text: str):
    assert f'<math display="block">{SQUARE}</math>' in render(text)


@pytest.mark.parametrize(("opening", "closing"), [("$$", "$$"), ("\\[", "\\]")])
def test_lines_of_a_displayed_formula_are_not_parsed_as_markdown(opening: str, closing: str):
    reader = read(render(f"{opening}\na_1 * b_2\n= c\n- d\n# e\n{closing}"))
    tags = {tag for tag, _ in reader.elements}
    assert "math" in tags or "code" in tags
    assert not tags & {"li", "h3", "h4", "em"}


def test_a_formula_in_a_table_may_contain_a_bar():
    assert len(read(render("| a | b |\n|---|---|\n| \\(|x|\\) | 2 |")).named("td")) == 2


@pytest.mark.parametrize(
    "text",
    [
        "$5 and $10",
        "US$5 to US$10",
        "$100-$200, or $5/month",
        "`$x$` and `\\(x\\)`",
        "```\n\\[\nx\n\\]\n$$x$$\n```",
        "~~~ tex\n\\(x\\)\n~~~",
        "    \\(x\\)",
        r"f\(x\)",
        r"see \[a note\]",
        r"\[a_b\](https://x.example)",
        r"\\(x\\)",
        r"\$x\$",
        "\\(a\n\nb\\)",
        "a \\[ b",
    ],
)
def test_text_that_only_looks_like_a_formula_is_kept(text: str):
    assert "math" not in {tag for tag, _ in read(render(text)).elements}


def test_code_shows_the_unchanged_source_of_a_formula():
    assert read(render("``a \\(x\\) b`` and `$x$`")).text.strip() == "a \\(x\\) b and $x$"
    assert read(render("- x\n\n  ```tex\n  \\[\n    x\n  \\]\n  ```")).text.strip().endswith("\\[\n  x\n\\]")


def test_a_code_span_of_three_backticks_does_not_hide_the_formulas_after_it():
    assert "<math>" in render("```code``` here\n\n\\(x\\)")


def test_source_that_cannot_be_converted_is_shown_escaped():
    assert render(r"$\nosuchcommand{<b>}$") == (
        '<p dir="auto"><code class="math">\\nosuchcommand{&lt;b&gt;}</code></p>\n'
    )


@pytest.mark.parametrize(
    "latex",
    [
        r"\frac{a}{b}",
        r"\begin{aligned}a&=b\\c&=d\end{aligned}",
        r"\begin{split}a&=b\end{split}",
        r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
        r"\begin{cases}1&x>0\\0&x\le0\end{cases}",
        r"\sum_{\substack{i<n\\j<m}} x",
        r"x = 1 \tag{3}",
        r"\mbox{if } x",
        r"\operatorname*{argmax}_x f",
        r"\left\{\frac12\right.",
        r"\widetilde{x}",
        r"\boxed{x}",
        r"\text{中文}",
        r"\lVert x \rVert_2",
        r"\underbrace{a+b}_{n}",
        r"\xrightarrow{f}",
        r"\mathbb{E}[X] \coloneqq \int_0^\infty x\,\mathrm{d}x",
    ],
)
def test_commands_that_models_use_are_converted(latex: str):
    assert to_mathml(latex, display=True).startswith('<math display="block">')


def test_alignment_and_lines_are_classes():
    html = render(r"$$\begin{array}{r|l}a&b\\\hline c&d\end{array}$$")
    assert 'class="math-right math-line-right"' in html
    assert "math-line-top" in html
    assert " style=" not in html


@pytest.mark.parametrize("latex", [r"\raisebox{99em}{x}", r"\hspace{10em}x", r"\genfrac(){125pt}{0}{a}{b}"])
def test_a_formula_cannot_move_over_other_content(latex: str):
    html = to_mathml(latex, display=False)
    assert html.startswith("<math>")
    assert not set(re.findall(r' (\w+)="', html)) & {"width", "voffset", "linethickness"}
    assert ' width="2em"' in to_mathml(r"a\hspace{2em}b", display=False)


def test_a_reference_inside_a_formula_is_not_a_link():
    assert read(render(r"$$\begin{align}x\label{composer}\\y\eqref{composer}\end{align}$$")).named("a") == []


def test_a_long_inline_formula_scrolls():
    assert '<span class="formula"><math>' in render("$" + "x+" * 21 + "x$")
    assert '<span class="formula"><math>' in render("\\(" + "x+" * 21 + "x\\)")
    assert '<p dir="auto"><math>' in render("$" + "x+" * 19 + "x$")
    assert "formula" not in render("$$" + "x+" * 21 + "x$$")


def test_a_formula_that_is_too_long_is_shown_as_source():
    assert to_mathml("x" * MAX_FORMULA_CHARACTERS, display=False).startswith("<math")
    assert to_mathml("x" * (MAX_FORMULA_CHARACTERS + 1), display=False).startswith("<code")


@pytest.mark.parametrize("latex", ["{" * 101 + "}" * 101, "\\sqrt" * 101 + " x", "\\left(" * 101 + "\\right)" * 101])
def test_a_formula_that_is_nested_too_deeply_is_shown_as_source(latex: str):
    assert to_mathml(latex, display=False).startswith("<code")


def test_escaped_braces_do_not_count_as_depth():
    assert to_mathml(r"\{" * 150, display=False).startswith("<math")


@pytest.mark.parametrize("opening", ["(", "[", r"\{", r"\bigl(", r"\lvert ", r"\mathopen(", "\u27e8"])
def test_unclosed_brackets_take_no_more_time_than_others(opening: str):
    # Without the rewritten brackets, math-core would take hours.
    html = to_mathml(f"{opening}-x" * 60, display=False)
    assert html.startswith("<math")
    assert html.count("\u2212") == 60


def test_a_sign_after_one_of_many_brackets_is_not_a_binary_operator():
    sign = '<mo lspace="0" rspace="0">\u2212</mo>'
    assert to_mathml("(-x)" * 2, display=False).count(sign) == 2
    assert to_mathml("(-x)" * 20, display=False).count(sign) == 20


@pytest.mark.parametrize(
    "latex", [r"\newcommand\a{x}\a", r"\def\a{(}" + r"\a" * 40, r"\let\a=(" + r"\a" * 40], ids=lambda latex: latex[:5]
)
def test_a_formula_that_defines_commands_is_shown_as_source(latex: str):
    assert to_mathml(latex, display=False).startswith("<code")


# The deepest formulas that are converted, one for each construct that takes much stack.
DEEPEST = [
    "{" * 100 + "x" + "}" * 100,
    r"\sqrt{" * 100 + "x" + "}" * 100,
    r"\frac{" * 100 + "x" + "}{x}" * 100,
    r"\left(" * 100 + "x" + r"\right)" * 100,
    r"\begin{matrix}" * 74 + "x" + r"\end{matrix}" * 74,
    r"\sqrt" * 99 + "{" + r"\sqrt" * 99 + "{" + r"\sqrt" * 99 + "x}}",
    "x^{" * 100 + "x" + "}" * 100,
    r"\text{" * 100 + "x" + "}" * 100,
    "x" + "'" * 1_999,
]


@pytest.mark.parametrize("latex", DEEPEST, ids=lambda latex: latex[:8])
def test_the_deepest_formulas_need_less_than_half_the_usual_stack(latex: str):
    # In another process, because a stack overflow would end it.
    program = (
        "import sys, threading\n"
        "from conversations.rendering.mathematics import to_mathml\n"
        "threading.stack_size(4 * 2**20)\n"
        "thread = threading.Thread(target=to_mathml, args=(sys.argv[1],), kwargs={'display': True})\n"
        "thread.start(); thread.join()\n"
    )
    assert subprocess.run([sys.executable, "-c", program, latex], check=False).returncode == 0


def test_placeholders_in_the_source_are_replaced():
    assert read(render("\ufdd00\ufdd1 and \\(x\\)")).text.startswith("\ufffd0\ufffd and x")


def test_protected_source_can_be_restored():
    text = "a \\(x\\) b\n\n$$\ny\n$$\n\\[z^2\\]"
    protected = protect(text)
    assert len(protected.formulas) == 3
    assert protected.restore(protected.text) == text


def test_several_threads_can_convert_at_once():
    failures: list[str] = []

    def convert(number: int) -> None:
        for i in range(50):
            html = to_mathml(f"x_{{{number * 50 + i}}}", display=False)
            if str(number * 50 + i) not in html:
                failures.append(html)

    threads = [threading.Thread(target=convert, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
