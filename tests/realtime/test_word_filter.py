from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.word_filter import WordFilter, fold

FILTER = WordFilter(["scam", "假货", "加微信", "badge"])


@pytest.mark.parametrize(
    "text",
    [
        "this is a scam",
        "SCAM!",
        "ｓｃａｍ",
        "sc\u200bam",
        "s\u00adcam",
        "scám",
        "都是假货吧",
        "加\u200d微\ufeff信",
        "a scam",
        "scam。",
    ],
)
def test_tricks_hide_nothing(text: str) -> None:
    assert FILTER.finds(text)


@pytest.mark.parametrize("text", ["scamper", "a bad bag", "货假", "", "微信", "subscam1", "badges"])
def test_parts_of_other_words_are_not_the_word(text: str) -> None:
    assert not FILTER.finds(text)


@given(st.lists(st.text("ab你", min_size=1, max_size=4), max_size=6), st.text("ab你 ", max_size=30))
def test_it_finds_what_looking_for_each_word_finds(words: list[str], text: str) -> None:
    def stands(word: str) -> bool:
        word, folded = fold(word), fold(text)
        starts = [i for i in range(len(folded)) if folded.startswith(word, i)]

        def latin(i: int) -> bool:
            return 0 <= i < len(folded) and folded[i].isascii() and folded[i].isalnum()

        ends = word[0].isascii() and word[-1].isascii()
        return any(not ends or (not latin(i - 1) and not latin(i + len(word))) for i in starts)

    assert WordFilter(words).finds(text) == any(stands(word) for word in words)


def test_fifty_thousand_words_are_no_trouble() -> None:
    many = WordFilter([*(f"word{n}x" for n in range(50_000)), "needle"])
    assert many.finds("wor" * 60 + " needle")
    assert many.finds("a word49999x b")
    assert not many.finds("word" * 50)
