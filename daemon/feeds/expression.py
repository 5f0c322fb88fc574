"""JMESPath: where in an answer the numbers stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import jmespath
from jmespath.exceptions import JMESPathError, LexerError, ParseError
from jmespath.functions import Functions
from jmespath.parser import ParsedResult
from pydantic import AfterValidator, Discriminator, Tag

from daemon.feeds.source import bad


def parsed(expression: str) -> ParsedResult:
    """The compiled expression. ValueError, one line, for what is none or calls a function that is not there."""
    try:
        result = jmespath.compile(expression)
    except LexerError as error:
        raise _wrong(error.lexer_position) from None
    except ParseError as error:
        raise _wrong(error.lex_position) from None
    except JMESPathError:  # an empty one
        raise _wrong(0) from None
    except RecursionError:
        raise ValueError("expected a JMESPath expression that is nested less deep") from None
    for name in _called(result.parsed):
        if name not in Functions.FUNCTION_TABLE:
            raise ValueError("expected a JMESPath expression; it calls a function that JMESPath does not have")
    return result


def _wrong(position: int) -> ValueError:
    return ValueError(f"expected a JMESPath expression; what stands at character {position + 1} makes it none")


def _called(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "function_expression":
        yield str(node["value"])
    for child in node["children"]:
        if isinstance(child, Mapping):
            yield from _called(child)


def _is_expression(text: str) -> str:
    parsed(text)
    return text


Expression = Annotated[str, AfterValidator(_is_expression)]
"""A JMESPath expression (jmespath.org/specification), good when the configuration is loaded."""


def _form(value: object) -> str:
    return "expressions" if isinstance(value, Mapping) else "expression"


Expressions = Annotated[
    Annotated[Expression, Tag("expression")] | Annotated[Mapping[str, Expression], Tag("expressions")],
    Discriminator(_form),
]
"""One expression that gives all numbers with their names, or one for each name."""


class Look:
    """A compiled expression."""

    def __init__(self, expression: str) -> None:
        self._parsed = parsed(expression)

    def at(self, value: object) -> object:
        """What it finds, None for nothing. FeedError when it can't be applied."""
        try:
            found: object = self._parsed.search(value)
        except (JMESPathError, ArithmeticError, TypeError):  # a function of numbers fails with TypeError on Decimal
            raise bad("the JMESPath expression can't be applied to the answer") from None
        return found
