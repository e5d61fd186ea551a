"""The doctor says what is in force, what works, and what to do where something does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli_shell import Shell
from redis import Redis

from celeriac.cli.checks import judge_redis
from celeriac.cli.doctor import masked_url
from celeriac.settings import Settings
from celeriac.tenants.encryption import new_key


def by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Find rows by their name."""
    return {row["name"]: row for row in rows}


def test_a_sound_installation_is_ok(shell: Shell) -> None:
    """Without workers there is a warning, and nothing broken."""
    keys = {"CELERIAC_SECRET_KEY": "s" * 32, "CELERIAC_ENCRYPTION_KEYS": new_key("k1")}
    report = shell.json("doctor", "--json", CELERIAC_APP="shop:app", **keys)
    states = {name: check["status"] for name, check in by_name(report["checks"]).items()}
    assert report["ok"] is True
    sound = ("database", "redis", "row security", "clocks", "encryption", "app", "secret")
    assert states == {**dict.fromkeys(sound, "ok"), "workers": "warning"}


def test_everything_that_is_broken_says_what_to_do(shell: Shell) -> None:
    """All of it at once, and no password."""
    nowhere = "redis://:geheim@127.0.0.1:1/0"
    empty = f"sqlite:///{shell.folder / 'empty.db'}"
    done = shell.run("doctor", CELERIAC_DATABASE_URL=empty, CELERIAC_REDIS_URL=nowhere, CELERIAC_APP="nope:app")
    assert done.returncode == 1
    for words in ("run `celeriac migrate`", "CELERIAC_REDIS_URL", "There is no module 'nope'"):
        assert words in done.stdout
    assert "geheim" not in done.stdout + done.stderr


def test_a_redis_that_forgets_when_memory_is_short_is_broken(shell: Shell) -> None:
    """Whatever it would rather drop: it may be a queue."""
    with Redis.from_url(shell.settings["CELERIAC_REDIS_URL"]) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
        try:
            done = shell.run("doctor", "--json")
        finally:
            redis.config_set("maxmemory-policy", "noeviction")
    check = by_name(json.loads(done.stdout)["checks"])["redis"]
    assert (done.returncode, check["status"]) == (1, "broken")
    assert "maxmemory-policy is allkeys-lru" in check["detail"]
    assert check["what_to_do"] == "set maxmemory-policy noeviction in redis.conf"


@pytest.mark.parametrize(
    ("version", "status"), [("5.0.14", "broken"), ("6.0.16", "broken"), ("6.2.0", "ok"), ("10.0.1", "ok")]
)
def test_a_redis_that_is_too_old_is_broken(version: str, status: str) -> None:
    """By numbers: 10 is more than 6."""
    check = judge_redis(version, "noeviction")
    assert (check.status, bool(check.what_to_do)) == (status, status == "broken")


def test_a_secret_with_which_the_web_does_not_start_is_broken(shell: Shell) -> None:
    """One that is missing is not: on this machine the web makes its own."""
    states = [
        by_name(json.loads(shell.run("doctor", "--json", **keys).stdout)["checks"])["secret"]["status"]
        for keys in ({}, {"CELERIAC_SECRET_KEY": "k" * 31}, {"CELERIAC_SECRET_KEY": "k" * 32})
    ]
    assert states == ["warning", "broken", "ok"]


def test_every_setting_is_shown_with_its_source(shell: Shell) -> None:
    """Secrets only by their length."""
    (shell.folder / ".env").write_text("CELERIAC_MAX_STEPS=7\n")
    report = shell.json("doctor", "--json", CELERIAC_SECRET_KEY="geheim" * 8)
    settings = by_name(report["settings"])
    assert set(settings) == {f"CELERIAC_{field.upper()}" for field in Settings.model_fields}
    assert (settings["CELERIAC_MAX_STEPS"]["value"], settings["CELERIAC_MAX_STEPS"]["source"]) == (7, ".env")
    assert settings["CELERIAC_SECRET_KEY"]["value"] == "set, 48 characters"
    assert settings["CELERIAC_MAX_EVENTS"]["source"] == "default"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:p@ss@db:5432/x?password=y", "postgresql://ann:***@db:5432/x"),
        ("redis://:secret@127.0.0.1/0", "redis://:***@127.0.0.1/0"),
        ("sqlite:///celeriac.db", "sqlite:///celeriac.db"),
        ("amqp://ann@host//", "amqp://ann@host//"),
    ],
)
def test_urls_are_shown_without_passwords(url: str, shown: str) -> None:
    """Wherever the password stands in them."""
    assert masked_url(url) == shown


def test_no_encryption_key_is_shown(shell: Shell) -> None:
    """Neither a good one nor what was meant as one."""
    setting = f"{new_key('k1')},k2:c2hvcnQ="
    done = shell.run("doctor", CELERIAC_ENCRYPTION_KEYS=setting)
    assert not [key for key in setting.split(",") if key.partition(":")[2] in done.stdout + done.stderr]
    assert "Encryption key 2 is no id with 32 bytes" in done.stdout
