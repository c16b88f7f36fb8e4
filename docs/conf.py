"""How Sphinx builds these pages (``make docs``): MyST Markdown, the furo theme, and colours for KeyNote."""

from __future__ import annotations

from pygments.lexer import RegexLexer, bygroups
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text
from sphinx.application import Sphinx


class KeyNoteLexer(RegexLexer):
    """RFC 2704 assertions."""

    name = "KeyNote"
    aliases = ("keynote",)
    tokens = {  # noqa: RUF012 - Pygments wants a plain dictionary
        "root": [
            (r"^(Comment)(:)(.*(?:\n[ \t].*)*)", bygroups(Keyword, Punctuation, Comment)),
            (r"^[A-Za-z][A-Za-z-]*(?=:)", Keyword),
            (r"#[^\n]*", Comment),
            (r'"(?:[^"\\]|\\[\s\S])*"', String),
            (r"[0-9]+-of\b", Operator.Word),
            (r"[0-9]+(?:\.[0-9]+)?", Number),
            (r"_[A-Z_]+\b|_[0-9]+\b", Name.Builtin),
            (r"(?i:true|false)\b", Keyword.Constant),
            (r"[A-Za-z_][A-Za-z0-9_]*", Name),
            (r"&&|\|\||->|[=!~<>]=|[-<>!=+*/%^.@&$]", Operator),
            (r"[:;{}(),]", Punctuation),
            (r"\s+", Text),
            (r".", Text),
        ]
    }


def setup(app: Sphinx) -> None:
    """Teach Sphinx the language of the examples."""
    app.add_lexer("keynote", KeyNoteLexer)


project = "clearinghouse"
author = "clearinghouse contributors"
project_copyright = author
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True

myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "clearinghouse"
html_static_path = ["images"]
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
