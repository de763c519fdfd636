"""Checks an exported allocation log offline: chain, root, seed, sums, and that the declared rule decided every entry.

An export is text. The first line is a header, the last a footer, both JSON; between them each line is an entry's hash, a space, and the
entry. Nothing here needs a database, a network or trust in whoever made the file.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from commerce.log_chain import SEGMENT, Receipt, first_hash, merkle_root
from commerce.lots import lot

FORMAT: Final = "flashroom allocation log 1"
HASH_CHARACTERS: Final = 64
MAX_LINE_CHARACTERS: Final = 4_000


class VerificationFailed(Exception):
    """The export is not what it says. `entry` is the number of the first wrong entry (from 1), or None for header and footer."""

    def __init__(self, message: str, entry: int | None = None) -> None:
        super().__init__(message if entry is None else f"entry {entry}: {message}")
        self.entry = entry


@dataclass(slots=True)
class Report:
    """What a sound log says."""

    sale_id: str
    rule: str
    entries: int = 0
    granted: int = 0
    refused: int = 0
    buyers: int = 0
    epochs: int = 0
    lost_tails: int = 0
    """How often numbers went back inside an epoch: Redis had lost its newest entries and counted on from older ones."""
    root: str | None = None


def verify_export(lines: Iterable[str]) -> Report:
    """A report, or VerificationFailed with the number of the first entry that is wrong. One pass; memory grows with buyers only."""
    source = iter(lines)
    header_line = next(source, "")
    header = _object(header_line, "header")
    if header.get("format") != FORMAT:
        raise VerificationFailed("this is not an allocation log")
    try:
        checker = _Checker(header)
    except (KeyError, TypeError) as error:
        raise VerificationFailed(f"the header lacks {error}") from None
    footer_line = checker.run(source)
    _check_footer(checker, header, header_line, footer_line)
    return checker.report


def canonical(value: dict[str, Any]) -> str:
    """JSON as it is hashed: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def footer_sum(header_line: str, root: str | None, count: int, seed: str) -> str:
    """What ties header and footer to the entries, so that no byte of them can change unseen."""
    return sha256(f"{header_line}\n{root}\n{count}\n{seed}".encode()).hexdigest()


@dataclass(slots=True)
class _Checker:
    header: dict[str, Any]
    report: Report = field(init=False)
    limit: int = field(init=False)
    window_ends_ms: int = field(init=False)
    checkpoints: list[str] = field(default_factory=list)
    chain: str = field(init=False)
    # the wait list as the log tells it: hold -> None, head first
    waiting: OrderedDict[str, None] = field(default_factory=OrderedDict)
    drawn: list[tuple[int, str]] = field(default_factory=list)
    drawn_at_ms: int = 0
    drawings: list[list[tuple[int, str]]] = field(default_factory=list)
    buyers: set[str] = field(default_factory=set)
    newest_epoch: int = 0
    epoch: int = 0
    seq: int = 0
    certain: bool = True
    """False from where Redis lost its tail until the next epoch: its memory and the log differed then."""

    def __post_init__(self) -> None:
        terms = self.header["terms"]
        if sha256(canonical(terms).encode()).hexdigest() != self.header["terms_hash"]:
            raise VerificationFailed("the terms are not those that were published")
        self.report = Report(str(terms["sale_id"]), str(terms["rule"]))
        self.chain = first_hash(self.report.sale_id)
        self.limit = int(terms["limit_per_buyer"])
        # The first opening; later ones, after a pause, have windows of their own that the header does not show.
        self.window_ends_ms = int(self.header["opened_at_ms"] or 0) + int(terms["window_ms"])

    def run(self, source: Iterator[str]) -> str:
        """Check all entries; gives the line after them."""
        chain, decode, check = self.chain, json.JSONDecoder().raw_decode, self._check
        for position, text in enumerate(source, start=1):
            if text.startswith("{"):
                self.report.entries, self.report.buyers = position - 1, len(self.buyers)
                if (position - 1) % SEGMENT:
                    self.checkpoints.append(chain)
                return text
            line = text[HASH_CHARACTERS + 1 :].rstrip("\n")
            # The chain first: after it every byte is known to be the one that was logged.
            chain = sha256(f"{chain}\n{line}".encode()).hexdigest()
            if not text.startswith(chain) or text[HASH_CHARACTERS] != " ":
                raise VerificationFailed(
                    "its hash is wrong: it was changed, or the one before is missing", position
                )
            if position % SEGMENT == 0:
                self.checkpoints.append(chain)
            try:
                entry, end = decode(line)
                if end != len(line):
                    raise ValueError("something follows it")
                check(entry, position)
            except (KeyError, TypeError, ValueError) as error:
                raise VerificationFailed(f"it is not an entry: {error!r}", position) from None
        raise VerificationFailed("the file ends without its footer")

    def _check(self, entry: dict[str, Any], position: int) -> None:
        if entry["n"] != position:
            raise VerificationFailed(f"it says it is number {entry['n']}", position)
        decision, quantity, available = entry["decision"], entry["quantity"], entry["available"]
        if available < 0 or entry["held"] < 0 or entry["sold"] < 0:
            raise VerificationFailed("a number of units is negative", position)
        epoch, seq = entry["epoch"], entry["seq"]
        if epoch > self.newest_epoch:
            self.newest_epoch, self.certain = epoch, True
            self.report.epochs += 1
        elif epoch != self.epoch or seq <= self.seq:
            self.report.lost_tails += self.certain
            self.certain = False
        elif seq != self.seq + 1 and self.certain:
            raise VerificationFailed("the entry before it is missing", position)
        self.epoch, self.seq = epoch, seq
        self.buyers.add(entry["buyer"])
        reason = entry["reason"]
        if reason in _DRAWN:
            self._draw(entry, position)
        elif self.drawn:
            self._end_drawing()
        if decision == "refused":
            self.report.refused += 1
            if available >= quantity and reason in _STOCK_REASONS:
                raise VerificationFailed(f"refused as {reason} although units were there", position)
        elif decision == "granted":
            self.report.granted += 1
            if not 0 < quantity <= self.limit:
                raise VerificationFailed("more was granted than a buyer may have", position)
            if entry["held"] < quantity:
                raise VerificationFailed("granted without a unit to hold", position)
            self._granted(entry, position)
        elif decision == "waiting":
            self.waiting[entry["hold"]] = None
        elif decision == "left":
            self.waiting.pop(entry["hold"], None)
        elif decision != "released":
            raise VerificationFailed(f"there is no decision {decision}", position)

    def _granted(self, entry: dict[str, Any], position: int) -> None:
        reason = entry["reason"]
        if reason == "promoted":
            if next(iter(self.waiting), None) != entry["hold"] and self.certain:
                raise VerificationFailed("it was served before an earlier one of the wait list", position)
            self.waiting.pop(entry["hold"], None)
        elif reason == "granted":
            if self.waiting and self.certain:
                raise VerificationFailed("it was served past the wait list", position)
            if self.report.rule == "draw":
                raise VerificationFailed("in a draw units go by lot only", position)
            if self.report.rule == "fair_window" and entry["at_ms"] < self.window_ends_ms:
                raise VerificationFailed("it was served at once in a window that is drawn by lot", position)
        elif reason != "drawn":
            raise VerificationFailed(f"nobody is granted a unit as {reason}", position)

    def _draw(self, entry: dict[str, Any], position: int) -> None:
        if self.report.rule == "first_come":
            raise VerificationFailed("first come, first served knows no lots", position)
        if not 0 < entry["arrived_at_ms"] <= entry["at_ms"]:
            raise VerificationFailed("its lot was drawn before it arrived", position)
        if self.drawn and entry["at_ms"] != self.drawn_at_ms:
            self._end_drawing()
        self.drawn_at_ms = entry["at_ms"]
        self.drawn.append((position, entry["buyer"]))

    def _end_drawing(self) -> None:
        """The order of the lots is checked when the seed is known: at the end of the file."""
        self.drawings.append(self.drawn)
        self.drawn = []

    def check_seed(self, seed: str) -> None:
        self._end_drawing()
        for drawing in self.drawings:
            before = ""
            for position, buyer in drawing:
                mine = lot(seed, buyer)
                if mine < before:
                    raise VerificationFailed("its lot comes before that of the entry above it", position)
                before = mine


_DRAWN: Final = frozenset(("drawn", "window_lost"))
_STOCK_REASONS: Final = frozenset(("all_held", "sold_out", "not_enough"))


def _check_footer(checker: _Checker, header: dict[str, Any], header_line: str, footer_line: str) -> None:
    footer = _object(footer_line, "footer")
    root = merkle_root(checker.checkpoints) if checker.checkpoints else None
    count, seed = checker.report.entries, footer.get("seed", "")
    if footer.get("entries") != count:
        raise VerificationFailed(f"the footer counts {footer.get('entries')} entries, there are {count}")
    if footer.get("root") != root:
        raise VerificationFailed("the root is not that of these entries")
    if footer.get("sum") != footer_sum(header_line.rstrip("\n"), root, count, seed):
        raise VerificationFailed("header or footer was changed")
    if sha256(str(seed).encode()).hexdigest() != header["terms"]["seed_hash"]:
        raise VerificationFailed("the seed is not the one that was promised before the opening")
    checker.check_seed(str(seed))
    checker.report.root = root


def _object(line: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(line) if len(line) <= MAX_LINE_CHARACTERS else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise VerificationFailed(f"the {what} cannot be read")
    return found


RECEIPT_FORMAT: Final = "flashroom receipt 1"
MAX_RECEIPT_PATH: Final = 64


def receipt_object(receipt: Receipt, root: str) -> dict[str, Any]:
    """A receipt as the file that its buyer keeps."""
    return {
        "format": RECEIPT_FORMAT,
        "sale_id": receipt.sale_id,
        "root": root,
        "position": receipt.position,
        "first_position": receipt.first_position,
        "before": receipt.before,
        "lines": list(receipt.lines),
        "path": [list(step) for step in receipt.path],
    }


def verify_receipt(data: Any) -> dict[str, Any]:
    """The proved entry of a receipt, which needs nothing but itself and the root that was published. Raises VerificationFailed."""
    try:
        if data["format"] != RECEIPT_FORMAT:
            raise VerificationFailed("this is not a receipt")
        path = tuple((str(side), str(sibling)) for side, sibling in data["path"])
        receipt = Receipt(
            sale_id=str(data["sale_id"]),
            position=int(data["position"]),
            first_position=int(data["first_position"]),
            before=str(data["before"]),
            lines=tuple(str(line) for line in data["lines"]),
            path=path,
        )
        root = str(data["root"])
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationFailed(f"the receipt can't be read ({type(error).__name__})") from None
    if len(path) > MAX_RECEIPT_PATH or any(side not in ("left", "right") for side, _ in path):
        raise VerificationFailed("the receipt can't be read")
    if not receipt.proves(root):
        raise VerificationFailed("this entry is not part of the log with that root", receipt.position)
    return _object(receipt.line, "entry")
