"""`flashroom verify FILE`: checks an exported allocation log, or one buyer's receipt, offline, with nothing but the file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final, TextIO

from commerce.log_verification import RECEIPT_FORMAT, VerificationFailed, verify_export, verify_receipt

MAX_RECEIPT_CHARACTERS: Final = 1_000_000


def run(path: Path) -> int:
    """0 when order, sums, rule and chain hold; 1 when they don't, naming the first wrong entry; 2 when there is no such file."""
    try:
        with path.open(encoding="utf-8", errors="strict", newline="\n") as file:
            if (receipt := _receipt(file)) is not None:
                return _verify_receipt(receipt)
            file.seek(0)
            report = verify_export(line.rstrip("\n") for line in file)
    except OSError as error:
        print(f"flashroom verify: {path} can't be read: {error.strerror}", file=sys.stderr)
        return 2
    except UnicodeDecodeError:
        print(f"NOT VALID: {path} is not UTF-8 text.", file=sys.stderr)
        return 1
    except VerificationFailed as error:
        print(f"NOT VALID: {error}", file=sys.stderr)
        return 1
    print(
        f"valid: sale {report.sale_id}, rule {report.rule}, {report.entries} entries "
        f"({report.granted} granted, {report.refused} refused) of {report.buyers} buyers, root {report.root}"
    )
    return 0


def _receipt(file: TextIO) -> Any:
    """The receipt in this file, or None when it is something else."""
    start = file.read(MAX_RECEIPT_CHARACTERS)
    if f'"{RECEIPT_FORMAT}"' not in start[:200]:
        return None
    try:
        return json.loads(start)
    except ValueError:
        raise VerificationFailed("the receipt is not JSON") from None


def _verify_receipt(data: Any) -> int:
    entry = verify_receipt(data)
    print(
        f"valid: entry {entry['n']} of sale {data['sale_id']}: {entry['decision']} ({entry['reason']}) at {entry['at_ms']}, "
        f"under root {data['root']}. Compare the root with the one that was published."
    )
    return 0
