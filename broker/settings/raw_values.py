"""Mistakes in the text of a value: quotes, comments, templates and placeholders that no program replaced.

``docker --env-file`` passes the text after ``=`` as it is, so quotes and comments become part of the value. No setting
has a valid value with them, and a secret with them fails only later, at the store or at the first token.
"""

import re
from typing import Final

QUOTED: Final = "must not be in quotes: docker --env-file and some other programs keep them. Remove the quotes"
COMMENT: Final = "must not be followed by a comment: docker --env-file and some other programs keep it. Remove it"
TEMPLATE: Final = "must not contain a placeholder such as ${NAME}, {name} or <name>: set the value itself"
PLACEHOLDER: Final = "must not be a placeholder: set the value itself"
INVISIBLE: Final = "must not begin or end with an invisible character. Type the value again"

BLANK: Final = " \t\r\n\v\f\x85\xa0\u2028\u2029\ufeff"
"""Characters that are removed from the ends of a value, with the byte order mark that some editors write."""

_QUOTES = frozenset("\"'`")
_TYPOGRAPHIC_QUOTES = frozenset("\u00ab\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a")

# What a shell, Compose, Helm, a CI system or a page of documentation replaces. %NAME% counts only as a whole value,
# because a URL may contain %E4%B8.
_TEMPLATE = re.compile(
    r"\$\{[^{}]*\}|\$\([^()]*\)|\$[A-Z_][A-Z0-9_]*|\$?\{\{[^{}]*\}\}|\{[A-Za-z_][\w-]*\}|<[A-Za-z][\w .:-]*>", re.ASCII
)
_WHOLE_TEMPLATE = re.compile(rf"{_TEMPLATE.pattern}|%[A-Z_][A-Z0-9_]*%", re.ASCII)
_PLACEHOLDER = re.compile(
    r"(?:please)?(?:change|replace|fill)(?:me|this|in|mein)(?:now|later|please)?|todo|tbd|fixme|placeholder|x{3,}"
    r"|your[a-z0-9]*(?:keyid|key|secret|token|accountid|bucket|bucketname|password)(?:here)?"
)


def broken_rule(value: str, *, is_secret: bool) -> str | None:
    """Return the rule that a stripped value breaks, if any.

    A secret may be any text: it breaks the rule for templates only as a whole, and may contain the form of a comment.
    """
    if not value:
        return None
    if _is_quoted(value):
        return QUOTED
    if not (value[0].isprintable() and value[-1].isprintable()):
        return INVISIBLE
    if has_comment(value) and not is_secret:
        return COMMENT
    if _WHOLE_TEMPLATE.fullmatch(value) or (not is_secret and _TEMPLATE.search(value)):
        return TEMPLATE
    return PLACEHOLDER if _PLACEHOLDER.fullmatch(re.sub(r"[\W_]", "", value.lower())) else None


def _is_quoted(value: str) -> bool:
    ends = {value[0], value[-1]}
    return len(value) > 1 and (ends <= _TYPOGRAPHIC_QUOTES or (len(ends) == 1 and ends <= _QUOTES))


def has_comment(value: str) -> bool:
    """Return whether the value may end with a comment."""
    return re.search(r"\s#", value) is not None
