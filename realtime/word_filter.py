"""A word list matched in time linear in the text, however many words it holds (Aho and Corasick, 1975).

Texts are folded first, so that full-width letters, zero-width characters and case hide nothing.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Iterable


def fold(text: str) -> str:
    """NFKC (full-width to plain), case folded, without characters that show nothing (category Cf) and combining marks."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(c for c in decomposed if unicodedata.category(c) not in ("Cf", "Mn", "Me"))


class WordFilter:
    """Says whether a text holds a listed word. Words of Latin letters match whole words only; others match anywhere."""

    def __init__(self, words: Iterable[str]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._fail: list[int] = [0]
        self._lengths: list[tuple[int, ...]] = [()]
        for word in words:
            folded = fold(word).strip()
            if folded:
                self._add(folded)
        self._link()

    def _add(self, word: str) -> None:
        node = 0
        for character in word:
            following = self._next[node].get(character)
            if following is None:
                following = len(self._next)
                self._next[node][character] = following
                self._next.append({})
                self._fail.append(0)
                self._lengths.append(())
            node = following
        self._lengths[node] = (len(word),)

    def _link(self) -> None:
        waiting = deque(self._next[0].values())
        while waiting:
            node = waiting.popleft()
            for character, child in self._next[node].items():
                fallback = self._fail[node]
                while fallback and character not in self._next[fallback]:
                    fallback = self._fail[fallback]
                target = self._next[fallback].get(character, 0)
                self._fail[child] = target if target != child else 0
                self._lengths[child] += self._lengths[self._fail[child]]
                waiting.append(child)

    def finds(self, text: str) -> bool:
        """Whether `text` holds a listed word."""
        folded = fold(text)
        node = 0
        for end, character in enumerate(folded, start=1):
            while node and character not in self._next[node]:
                node = self._fail[node]
            node = self._next[node].get(character, 0)
            if any(_stands_alone(folded, end - length, end) for length in self._lengths[node]):
                return True
        return False


def _stands_alone(text: str, start: int, end: int) -> bool:
    def is_latin(character: str) -> bool:
        return character.isascii() and character.isalnum()

    if not (is_latin(text[start]) and is_latin(text[end - 1])):
        return True
    return not (start > 0 and is_latin(text[start - 1])) and not (end < len(text) and is_latin(text[end]))
