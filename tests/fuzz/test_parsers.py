"""A few hundred inputs for the rules of the coverage-guided fuzzer, without atheris."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .parsers import PARSERS, Parser


def mutated(parser: Parser) -> st.SearchStrategy[bytes]:
    """Draw a seed with a piece of it replaced."""

    def splice(seed: bytes, word: bytes, start: int, length: int) -> bytes:
        at = start % (len(seed) + 1)
        return seed[:at] + word + seed[at + length :]

    words = st.sampled_from(parser.words) | st.binary(max_size=8)
    return st.builds(splice, st.sampled_from(parser.seeds), words, st.integers(0, 2000), st.integers(0, 12))


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS.keys())
def test_seeds_keep_the_rules(parser: Parser) -> None:
    """Every seed of a parser is short enough and breaks no rule."""
    parser.check(b"")
    for seed in parser.seeds:
        assert len(seed) <= parser.longest
        parser.check(seed)


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS.keys())
def test_random_bytes_keep_the_rules(parser: Parser) -> None:
    """Random bytes and mutated seeds break no rule of a parser."""

    @given(st.binary(max_size=300) | mutated(parser))
    @settings(max_examples=400, deadline=None)
    def check(data: bytes) -> None:
        parser.check(data)

    check()
