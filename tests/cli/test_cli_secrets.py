"""Secrets in the command line: a value goes in by stdin and comes out nowhere."""

from __future__ import annotations

from cli_shell import Shell

from celeriac.tenants.encryption import new_key

VALUE = "sk-canary-0123456789"


def test_a_secret_is_kept_listed_and_forgotten(shell: Shell, tenant: str) -> None:
    key = {"CELERIAC_ENCRYPTION_KEYS": new_key("k1")}
    of_tenant = ("--tenant", tenant, "--json")
    done = shell.run("secrets", "set", "openai", "--provider", "openai", *of_tenant, given=f"{VALUE}\n", **key)
    listed = shell.run("secrets", "ls", "--tenant", tenant)
    assert (done.returncode, listed.stdout.splitlines()[-1].split()[:2]) == (0, ["openai", "openai"])
    assert shell.json("secrets", "rm", "openai", *of_tenant)["removed"] is True
    assert VALUE not in done.stdout + done.stderr + listed.stdout
