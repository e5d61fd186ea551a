"""Keys and people on the command line; a password never comes by an argument."""

from __future__ import annotations

import json

from cli_shell import Shell

from celeriac.tenants.encryption import new_key


def test_a_key_is_made_with_scopes_and_rotated(shell: Shell, tenant: str) -> None:
    """The log names the login that did it."""
    made = shell.json(
        "keys", "create", tenant, "--kind", "api", "--scope", "runs:read", "--expires", "90d", "--name", "billing"
    )
    new = shell.json("keys", "rotate", made["id"], "--overlap", "1h")
    assert (new["name"], new["scopes"], new["tenant_id"]) == ("billing", ["runs:read"], tenant)
    assert made["expires_at"] is not None and new["expires_at"] is not None
    log = shell.json("audit", tenant, "--json")["data"]
    of_keys = [entry for entry in log if entry["action"].startswith("key.")]
    assert {entry["action"] for entry in of_keys} == {"key.rotated", "key.created"}
    assert all(entry["actor"].startswith("cli:") for entry in of_keys)


def test_the_audit_log_is_searched(shell: Shell, tenant: str) -> None:
    """What can find nothing is refused by usage."""
    made = shell.json("keys", "create", tenant, "--kind", "event")
    shell.run("keys", "revoke", made["id"])
    of_key = ("audit", tenant, "--action", "key.", "--subject", made["id"], "--json")
    assert {one["action"] for one in shell.json(*of_key)["data"]} == {"key.created", "key.revoked"}
    assert len(shell.json(*of_key, "--since", "1h", "--limit", "1")["data"]) == 1
    assert shell.json(*of_key, "--until", "1h")["data"] == []
    assert "is so" in shell.run("audit", tenant, "--actor", "user:nobody").stderr
    refused = shell.run("audit", tenant, "--action", "key")
    assert refused.returncode == 2 and "key. for all" in refused.stderr


def test_a_body_is_signed_and_the_signature_verified(shell: Shell, tenant: str) -> None:
    """By the key that was made, of which nothing is printed again."""
    encrypted = {"CELERIAC_ENCRYPTION_KEYS": new_key("k1")}
    made = shell.json("keys", "create", tenant, "--kind", "signing", **encrypted)
    signed = shell.run("keys", "sign", tenant, given="{}", **encrypted)
    good = shell.run("keys", "verify", tenant, signed.stdout.strip(), "--json", given="{}", **encrypted)
    bad = shell.run("keys", "verify", tenant, signed.stdout.strip(), given="{ }", **encrypted)
    assert json.loads(good.stdout) == {"is_good": True, "key_id": made["id"], "fault": None}
    assert (good.returncode, bad.returncode, "Not good" in bad.stderr) == (0, 1, True)
    assert made["key"] not in signed.stdout + good.stdout + bad.stderr


def test_a_signing_key_is_made_for_one_thing(shell: Shell, tenant: str) -> None:
    """One that may not sign is told so, with the key to make."""
    encrypted = {"CELERIAC_ENCRYPTION_KEYS": new_key("k1")}
    of_signing = ("keys", "create", tenant, "--kind", "signing", "--scope")
    assert shell.json(*of_signing, "channels:grant", **encrypted)["scopes"] == ["channels:grant"]
    refused = shell.run("keys", "sign", tenant, given="{}", **encrypted)
    assert refused.returncode == 1 and "--scope events:sign" in refused.stderr
    assert shell.json(*of_signing, "events:sign", **encrypted)["scopes"] == ["events:sign"]
    assert shell.run("keys", "sign", tenant, given="{}", **encrypted).stdout.count("v1=") == 1


def test_a_signing_key_needs_an_encryption_key(shell: Shell, tenant: str) -> None:
    """And the refusal says how to make one."""
    refused = shell.run("keys", "create", tenant, "--kind", "signing")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "celeriac secrets new-key" in refused.stderr


def test_a_user_is_made_with_a_password_from_stdin(shell: Shell, tenant: str) -> None:
    """And given a role."""
    made = shell.run("users", "create", "Ada@example.com", given="correct horse battery\n")
    assert (made.returncode, made.stdout) == (0, ""), made.stderr
    ada = shell.json("users", "role", "ada@example.com", "owner", "--tenant", tenant, "--json")
    assert ada["email"] == "ada@example.com"
    refused = shell.run("users", "role", "ada@example.com", "none", "--tenant", tenant)
    assert refused.returncode == 1 and "no other owner" in refused.stderr


def test_an_invitation_is_listed_and_taken_back(shell: Shell, tenant: str) -> None:
    """Its link is told once, and is good for nothing afterwards."""
    of_tenant = ("--tenant", tenant, "--json")
    made = shell.json("users", "invite", "bob@example.com", "--role", "admin", *of_tenant)
    [listed] = shell.json("users", "invitations", *of_tenant)["data"]
    assert (listed["id"], listed["email"], listed["role"]) == (made["id"], "bob@example.com", "admin")
    assert made["link"].partition("token=")[2] not in str(listed)
    assert shell.json("users", "uninvite", made["id"], *of_tenant) == {"id": made["id"], "taken_back": True}
    assert shell.json("users", "invitations", *of_tenant) == {"data": []}
    assert shell.run("users", "uninvite", made["id"], *of_tenant).returncode == 1


def test_an_invitation_leads_where_people_reach_the_dashboard(shell: Shell, tenant: str) -> None:
    """The setting says it once for all; an option for one."""
    invite, public = ("users", "invite", "b@example.com", "--tenant", tenant), "https://celeriac.example.com"
    assert shell.run(*invite, CELERIAC_PUBLIC_URL=public).stdout.startswith(f"{public}/invitation?token=")
    assert shell.run(*invite).stdout.startswith("http://127.0.0.1:8288/invitation?token=")
    elsewhere = shell.run(*invite, "--url", "http://other.example", CELERIAC_PUBLIC_URL=public)
    assert elsewhere.stdout.startswith("http://other.example/invitation?token=")
