"""The mathematics of the allocation log, without I/O: a chain over its lines, and a tree over the chain, so that one line can be proved.

Each line's hash covers the line and the hash before it. Every 64th hash (and the last) is a checkpoint; the root is the top of a
Merkle tree over the checkpoints. A receipt is the segment of at most 64 lines around one's own and its path to the root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

GENESIS: Final = "flashroom allocation log 1"
SEGMENT: Final = 64


def first_hash(sale_id: str) -> str:
    """What stands before the first line."""
    return _sha256(f"{GENESIS}\n{sale_id}\n")


def next_hash(previous: str, line: str) -> str:
    """The chain: SHA-256 over the previous hash, a line feed, and the line."""
    return _sha256(f"{previous}\n{line}")


def is_checkpoint(position: int, count: int) -> bool:
    """Whether the hash at this position (from 1) of a log with `count` lines is a leaf of the tree."""
    return position % SEGMENT == 0 or position == count


def merkle_root(leaves: Sequence[str]) -> str:
    """The top of the tree over these hashes; an odd one out moves up as it is. At least one."""
    level = [_leaf(one) for one in leaves]
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def merkle_path(leaves: Sequence[str], index: int) -> list[tuple[str, str]]:
    """What `climb` needs to get from a leaf to the root: ("left" or "right", sibling) per level that has one."""
    level = [_leaf(one) for one in leaves]
    path = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(("left" if sibling < index else "right", level[sibling]))
        level, index = _level_above(level), index // 2
    return path


def climb(leaf: str, path: Sequence[tuple[str, str]]) -> str:
    """The root that this leaf and path lead to."""
    node = _leaf(leaf)
    for side, sibling in path:
        node = _node(sibling, node) if side == "left" else _node(node, sibling)
    return node


@dataclass(frozen=True, slots=True)
class Receipt:
    """One line of a published log with all that proves it: whoever knows the root needs nothing else."""

    sale_id: str
    position: int
    """Of the line, from 1."""
    first_position: int
    """Of the segment's first line."""
    before: str
    """The hash before the segment."""
    lines: tuple[str, ...]
    path: tuple[tuple[str, str], ...]

    @property
    def line(self) -> str:
        return self.lines[self.position - self.first_position]

    def proves(self, root: str) -> bool:
        """Whether this line is part of the log with that root."""
        inside = 0 <= self.position - self.first_position < len(self.lines) <= SEGMENT
        if not inside or (self.first_position == 1 and self.before != first_hash(self.sale_id)):
            return False
        chain = self.before
        for line in self.lines:
            chain = next_hash(chain, line)
        return climb(chain, self.path) == root


def _leaf(hash_: str) -> str:
    return _sha256(f"leaf {hash_}")


def _node(left: str, right: str) -> str:
    return _sha256(f"node {left} {right}")


def _level_above(level: Sequence[str]) -> list[str]:
    pairs = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return pairs + ([level[-1]] if len(level) % 2 else [])


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
