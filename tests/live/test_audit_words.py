"""Whatever the audit log may say, the console has words for it in both languages."""

from __future__ import annotations

import re
from pathlib import Path

WORDS = Path("live/web/src/console/words.ts")
CODES = {"second_person_needed", "second_person_missing", "approval_over"}
SALE_CONTROLS = re.compile(r'_control\("([a-z]+)"')


def audited() -> set[str]:
    """Actions named in the API's handlers, and in the rules of second persons."""
    sources = {path.name: path.read_text() for path in Path("live/api").glob("*.py")}
    of_two = "".join(Path(f"live/{name}.py").read_text() for name in ("approvals", "second_person"))
    found = {f"sale_{name}" for name in SALE_CONTROLS.findall(sources["sales.py"])}
    found |= set(re.findall(r'"((?:approval|second_person)_[a-z]+)",', of_two))
    for text in sources.values():
        found |= set(re.findall(r'\bcall,\s*"([a-z_]+)"', text))
        found |= set(re.findall(r'"((?:order|orders|payment|webhook|sale)_[a-z_]+)",?\n', text))
        found |= set(re.findall(r'"((?:desk_(?:ta|re|ha|ke)|run_|person_|replies_|log_)[a-z_]+)"', text))
    return found - {"order_id", "orders_csv", "sale_id", "payment_id", "run_version", "csv", "jsonl", *CODES}


def test_every_action_has_words_in_english_and_chinese() -> None:
    text = WORDS.read_text()
    named = audited()
    assert {
        "desk_take_over",
        "desk_hand_over",
        "person_join",
        "run_import",
        "sale_create",
        "order_cancel",
        "webhook_create",
        "payment_send_back",
        "approval_ask",
        "approval_fail",
        "second_person_set",
    } <= named, named
    missing = {action for action in named if text.count(f"    did_{action}: ") != 2}
    assert not missing
