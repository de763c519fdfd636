"""The command line: `flashroom ROLE`. Each role is one process of the show, or one task to its end.

Exit codes: 0 done or stopped in order, 1 could not start or a check failed, 2 wrong use or wrong settings.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from live import logs, processes
from live.processes import CannotStart
from live.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class Role:
    """One word of the command line: `function` is `module:name` and is given the settings; loaded when asked for, to start fast."""

    function: str
    help: str
    is_service: bool = False


ROLES: Final = {
    "dev": Role("live.dev:run", "bring up the whole show with a sample room, and print its links"),
    "redis": Role(
        "live.redis_server:run", "run the bundled redis-server for this data folder", is_service=True
    ),
    "web": Role("live.web_process:run", "serve pages, HTTP API, checkout and webhooks", is_service=True),
    "hub": Role("live.hub_process:run", "serve viewers' WebSockets", is_service=True),
    "worker": Role(
        "live.worker:run", "run timers, relay, payments' inbox and reconciliation", is_service=True
    ),
    "media": Role(
        "live.media.process:run", "carry live video: WHIP in, WHEP out, a test picture", is_service=True
    ),
    "ghosts": Role("live.ghosts:run", "send a simulated audience into the sample room", is_service=True),
    "migrate": Role("live.tasks:migrate", "bring the database's tables up to date"),
    "seed": Role("live.tasks:seed", "put the sample catalogue, room and accounts in, once"),
    "doctor": Role("live.doctor:run", "check settings, Redis, tables, ports and every invariant"),
    "reset": Role("live.tasks:reset", "forget all data of the development show"),
}


def parser() -> argparse.ArgumentParser:
    """What `flashroom --help` shows."""
    built = argparse.ArgumentParser(
        prog="flashroom",
        description="Self-hosted live-stream commerce.",
        epilog="Settings come from the environment (FLASHROOM_...); with none set, everything runs on this machine under .data.",
    )
    roles = built.add_subparsers(dest="role", metavar="ROLE", required=True)
    for name, role in ROLES.items():
        roles.add_parser(name, help=role.help, description=role.help)
    help_verify = "check an exported allocation log offline"
    verify = roles.add_parser("verify", help=help_verify, description=help_verify)
    verify.add_argument("file", type=Path, help="the file from /api/sales/SALE/log")
    ledger = roles.add_parser("ledger", help="check that every movement of money balances")
    ledger.add_argument("action", choices=("check",))
    webhooks = roles.add_parser("webhooks", help="list payment providers' messages, or process one again")
    actions = webhooks.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="the newest 50, and what became of them")
    replay = actions.add_parser("replay", help="process one once more")
    replay.add_argument("provider")
    replay.add_argument("event_id")
    _add_people(roles)
    return built


def _add_people(roles: Any) -> None:
    account = roles.add_parser("account", help="make accounts, or list them with their roles")
    actions = account.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="make one; the password is asked for")
    add.add_argument("email")
    add.add_argument("name")
    actions.add_parser("list", help="the newest 500")
    room = roles.add_parser("room", help="open a room for a show")
    actions = room.add_subparsers(dest="action", required=True)
    add = actions.add_parser(
        "add", help="before its show, without products; its people are set in the console"
    )
    add.add_argument("title")
    add.add_argument("email", help="of its owner's account")
    role = roles.add_parser("role", help="give an account a role in a room, or take it away")
    actions = role.add_subparsers(dest="action", required=True)
    give = actions.add_parser("give", help="in place of the one it has")
    take = actions.add_parser("take", help="the room keeps at least one owner")
    for one in (give, take):
        one.add_argument("room_id")
        one.add_argument("email")
    give.add_argument("as_role", metavar="role", choices=("analyst", "host", "moderator", "owner", "seller"))


def _run(parsed: argparse.Namespace, settings: Settings) -> int | None:
    """Run what the command line asks for."""
    if parsed.role in ("ledger", "webhooks"):
        from live import money_cli

        if parsed.role == "ledger":
            return money_cli.check_ledger(settings)
        if parsed.action == "list":
            return money_cli.list_webhooks(settings)
        return money_cli.replay_webhook(settings, parsed.provider, parsed.event_id)
    if parsed.role in ("account", "role", "room"):
        return _run_people(parsed, settings)
    module, function = ROLES[parsed.role].function.split(":")
    answer: int | None = getattr(importlib.import_module(module), function)(settings)
    return answer


def _run_people(parsed: argparse.Namespace, settings: Settings) -> int:
    from live import account_cli

    if parsed.role == "account":
        if parsed.action == "add":
            return account_cli.add_account(settings, parsed.email, parsed.name)
        return account_cli.list_accounts(settings)
    if parsed.role == "room":
        return account_cli.add_room(settings, parsed.title, parsed.email)
    if parsed.action == "give":
        return account_cli.give_role(settings, parsed.room_id, parsed.email, parsed.as_role)
    return account_cli.take_role(settings, parsed.room_id, parsed.email)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one role; gives the exit code. What a person can put right is said in plain words, without a traceback."""
    parsed = parser().parse_args(arguments)
    name = parsed.role
    if name == "verify":
        from live import verify

        return verify.run(parsed.file)
    is_service = name in ROLES and ROLES[name].is_service
    logs.set_up(name, level=logging.WARNING if name in ("dev", "doctor") else None)
    try:
        if parent := os.environ.get(processes.DIE_WITH_PARENT):
            processes.die_with_parent(int(parent))
        answer = _run(parsed, Settings.read())
    except SettingsError as error:
        print(f"flashroom {name}: the settings can't be used:", file=sys.stderr)
        for mistake in error.mistakes:
            print(f"  {mistake}", file=sys.stderr)
        return 2
    except CannotStart as error:
        print(f"flashroom {name}: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0 if is_service else 130
    return int(answer or 0)


if __name__ == "__main__":
    sys.exit(main())
