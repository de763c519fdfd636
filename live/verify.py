"""`flashroom verify FILE`: checks an exported allocation log offline, with nothing but the file."""

from __future__ import annotations

import sys
from pathlib import Path

from commerce.log_verification import VerificationFailed, verify_export


def run(path: Path) -> int:
    """0 when order, sums, rule and chain hold; 1 when they don't, naming the first wrong entry; 2 when there is no such file."""
    try:
        with path.open(encoding="utf-8", errors="strict", newline="\n") as file:
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
