"""Providers are set up whole or not at all, and a mistake is one clear line without the secret in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from live import payment_providers, payment_settings
from live.processes import CannotStart
from live.settings import Settings, SettingsError
from tests.commerce.payments.provider_server import KeyPair


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"FLASHROOM_DATA_DIR": str(tmp_path), **more}


def all_providers(tmp_path: Path) -> dict[str, str]:
    ours, theirs = tmp_path / "ours.pem", tmp_path / "theirs.pem"
    pair = KeyPair.make()
    ours.write_text(pair.private_pem)
    theirs.write_text(pair.public_pem)
    given = dict.fromkeys(
        payment_settings.STRIPE + payment_settings.ALIPAY + payment_settings.WECHAT_PAY, "x" * 32
    )
    for name in given:
        if name.endswith("_FILE"):
            given[name] = str(ours if "PRIVATE" in name else theirs)
    return given


def test_the_sandbox_is_there_in_development_and_not_in_production(tmp_path: Path) -> None:
    assert Settings.read(environment(tmp_path)).sandbox_payments
    production = {"FLASHROOM_ENV": "production", "FLASHROOM_SECRET": "x" * 32}
    assert not Settings.read(environment(tmp_path, **production)).sandbox_payments
    assert Settings.read(
        environment(tmp_path, **production, FLASHROOM_SANDBOX_PAYMENTS="on")
    ).sandbox_payments


def test_every_provider_can_be_set_up(tmp_path: Path) -> None:
    settings = Settings.read(environment(tmp_path, **all_providers(tmp_path)))
    sandbox: object = object()
    built = payment_providers.build(settings, sandbox)  # type: ignore[arg-type]
    assert list(built) == ["stripe", "alipay", "wechat_pay", "sandbox"]
    assert [provider.name for name, provider in built.items() if name != "sandbox"] == list(built)[:3]
    assert "x" * 32 not in repr(settings)
    assert "PRIVATE KEY" not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"FLASHROOM_STRIPE_WEBHOOK_SECRET": ""},
            "FLASHROOM_STRIPE_WEBHOOK_SECRET: missing; Stripe needs all of",
        ),
        (
            {"FLASHROOM_ALIPAY_PRIVATE_KEY_FILE": "/nowhere"},
            "FLASHROOM_ALIPAY_PRIVATE_KEY_FILE can't be read: No such",
        ),
        (
            {"FLASHROOM_WECHAT_GATEWAY_URL": "http://evil.example"},
            "FLASHROOM_WECHAT_GATEWAY_URL must start with https",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        Settings.read(environment(tmp_path, **(all_providers(tmp_path) | changes)))
    (mistake,) = wrong.value.mistakes
    assert mistake.startswith(said)
    assert "x" * 32 not in mistake


def test_a_key_that_is_none_stops_the_start(tmp_path: Path) -> None:
    given = all_providers(tmp_path)
    Path(given["FLASHROOM_ALIPAY_PRIVATE_KEY_FILE"]).write_text("not a key")
    settings = Settings.read(environment(tmp_path, **given))
    with pytest.raises(CannotStart):
        payment_providers.build(settings, object())  # type: ignore[arg-type]
