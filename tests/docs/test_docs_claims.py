"""The documentation names what is there: links, settings with their defaults, commands with their options."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest
from docs_pages import PAGES, ROOT, blocks_of, module_name

import celeriac
from celeriac.cli.root import celeriac as root
from celeriac.platform.durable.retry import DELAYS
from celeriac.platform.run import Run
from celeriac.settings import Settings
from celeriac.web.api.answers import run_json
from celeriac.web.api.approvals import ApprovalOut
from celeriac.web.app import create_app
from celeriac.wiring import build

LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)(?:#[^)]*)?\)")
SETTING = re.compile(r"^\| `(CELERIAC_\w+)` \| ([^|]+?) \|", re.MULTILINE)

#: how a default that is no plain value is told
IN_WORDS = {
    "CELERIAC_BROKER_URL": "the Redis",
    "CELERIAC_RETRY_SECONDS": "growing delays",
    "CELERIAC_SECRET_KEY": "none",
    "CELERIAC_PUBLIC_URL": "none",
    "CELERIAC_TRUSTED_PROXIES": "none",
    "CELERIAC_APP": "none",
    "CELERIAC_APP_VERSION": "none",
    "CELERIAC_DEFAULT_TENANT": "none",
    "CELERIAC_FETCH_ALLOW": "none",
    "CELERIAC_MCP_STDIO": "false",
    "CELERIAC_ALLOW_MODEL_CALLS": "false",
    "CELERIAC_ENCRYPTION_KEYS": "none",
}


def commands_of(page: Path) -> list[list[str]]:
    """Return the `celeriac …` lines of a page's shell blocks, in words."""
    lines = [
        line for block in blocks_of(page.read_text()) if block.language == "bash" for line in block.code.splitlines()
    ]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("celeriac ")]


def unknown_words(words: list[str]) -> list[str]:
    """Return what of a command line the real one does not know."""
    command: click.Command = root
    rest = words[1:]
    while isinstance(command, click.Group):
        if rest[0] not in command.commands:
            return [rest[0]]
        command, rest = command.commands[rest[0]], rest[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    return [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]


@pytest.mark.parametrize("page", PAGES, ids=module_name)
def test_the_links_of_a_page_lead_to_files(page: Path) -> None:
    """A broken link is a promise that nobody kept."""
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=module_name)
def test_the_commands_of_a_page_exist_with_their_options(page: Path) -> None:
    """Renaming an option is noticed here."""
    assert [(words, wrong) for words in commands_of(page) if (wrong := unknown_words(words))] == []


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "operations.md"], ids=module_name)
def test_the_settings_stand_with_their_defaults(page: Path) -> None:
    """A default that changed in the code changes here."""
    told = {name: default.strip("`") for name, default in SETTING.findall(page.read_text())}
    fields = {f"CELERIAC_{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    real = {name: IN_WORDS.get(name, f"{v:g}" if isinstance(v, float) else str(v)) for name, v in fields.items()}
    assert told == real


def test_the_index_names_every_page() -> None:
    """What is not on the map is not found."""
    index = (ROOT / "docs" / "index.md").read_text()
    assert [page.name for page in PAGES if page.parent.name == "docs" and f"({page.name})" not in index] == ["index.md"]


def test_the_pages_name_every_public_name() -> None:
    """Each of them is a promise, so each is told of."""
    text = "\n".join(page.read_text() for page in PAGES)
    assert [name for name in celeriac.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_the_table_of_delays_is_the_one_of_the_code() -> None:
    """Who plans by it must be able to."""
    row = re.search(
        r"^\| delay in seconds \|(.+)\|$", (ROOT / "docs" / "durable-functions.md").read_text(), re.MULTILINE
    )
    assert row is not None
    assert [int(cell) for cell in row[1].split("|")] == list(DELAYS)


def test_an_option_that_is_not_there_is_noticed() -> None:
    """The reader of commands must bite."""
    assert unknown_words(["celeriac", "web", "--port", "1", "--prot=2"]) == ["--prot=2"]
    assert unknown_words(["celeriac", "wb"]) == ["wb"]


def test_the_requests_of_the_page_are_those_of_the_api(tmp_path: Path) -> None:
    """No request is hidden, and none is promised."""
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'docs.db'}", secret_key="k" * 32)
    rules = [rule.rule for rule in create_app(build(settings)).url_map.iter_rules()]
    paths = {re.sub(r"<[^>]+>", "{}", rule) for rule in rules if rule.startswith(("/v1", "/e/", "/healthz", "/readyz"))}
    page = (ROOT / "docs" / "events-and-api.md").read_text()
    told = re.findall(r"^\| `(?:GET|POST|PUT|DELETE) (/[^`?]+)[^`]*` \|", page, re.MULTILINE)
    assert {re.sub(r"\{\w+\}|<[^>]+>", "{}", path) for path in told} == paths


def test_the_json_of_the_page_has_the_fields_of_a_run_and_of_an_approval() -> None:
    """Who reads JSON by the page finds what it names."""
    blocks = blocks_of((ROOT / "docs" / "events-and-api.md").read_text())
    run, approval = [json.loads(one.code) for one in blocks if one.language == "json"]
    real = run_json(Run(id="run_1", tenant_id="ten_1", app="shop", function_id="bill"))
    assert (list(run), list(run["usage"])) == (list(real), list(real["usage"]))
    assert list(approval) == list(ApprovalOut.model_fields)
