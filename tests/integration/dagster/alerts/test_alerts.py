"""Runs tell whoever has to know, once, over real servers; one that does not answer fails none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.alert_servers import Inbox, http_server, smtp_server
from tests.support.sqlmesh_projects import Database, Project, utc
from tests.support.stories import Story
from tests.support.transforms import Transform

MODELS = {
    "mart.a": """
        kind FULL, owner 'ada@example.com', tags (finance)
        ---
        SELECT CAST(word AS INT) AS n FROM src.words
    """,
    "mart.a_child": "kind FULL\n---\nSELECT n FROM mart.a",
    "mart.b": """
        kind FULL, owner bob,
        audits (number_of_rows(threshold := 0), warns, not_null(columns := (id)))
        ---
        SELECT id FROM src.raw
    """,
}
WARNS = "AUDIT (name warns, blocking false);\nSELECT * FROM @this_model WHERE id > 100"
TOKEN = "tok-3141592653"
NODES = ["mart.a", "mart.a_child"]


@pytest.fixture(scope="module")
def pager() -> Iterator[Inbox]:
    """Gets all but warnings."""
    with http_server() as inbox:
        yield inbox


@pytest.fixture(scope="module")
def team() -> Iterator[Inbox]:
    """Gets what bob owns, warnings too."""
    with http_server() as inbox:
        yield inbox


@pytest.fixture(scope="module")
def post() -> Iterator[Inbox]:
    with smtp_server() as inbox:
        yield inbox


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, pager: Inbox, team: Inbox, post: Inbox
) -> Iterator[Transform]:
    folder = tmp_path_factory.mktemp("alerts")
    project = Project(folder / "p", Database.in_file(folder / "w.duckdb"), MODELS)
    (project.folder / "audits").mkdir(exist_ok=True)
    (project.folder / "audits" / "warns.sql").write_text(WARNS, encoding="utf-8")
    project.database.execute(
        "CREATE SCHEMA src",
        "CREATE TABLE src.words AS SELECT '7' AS word",
        "CREATE TABLE src.raw AS SELECT 1 AS id",
    )
    project.plan_natively(utc("2024-03-05 10:30"))
    patch = pytest.MonkeyPatch()
    patch.setenv("PAGER_URL", f"{pager.url}/hook")
    patch.setenv("PAGER_TOKEN", TOKEN)
    patch.setenv("TEAM_URL", f"{team.url}/services/T0/secret-path")
    patch.setenv("DAGSTER_WEBSERVER_URL", "https://dagster.example.com/")
    settings = {
        "alerts": {
            "limit": 6,
            "channels": {
                "pager": {
                    "type": "webhook",
                    "url": "${PAGER_URL}",
                    "headers": {"Authorization": "Bearer ${PAGER_TOKEN}"},
                    "timeout": 2,
                },
                "team": {
                    "type": "slack",
                    "url": "${TEAM_URL}",
                    "owners": "bob",
                    "severity": "warn",
                },
                "mail": {
                    "type": "email",
                    "host": "127.0.0.1",
                    "port": post.port,
                    "security": "none",
                    "sender": "dagster@example.com",
                    "to_owners": True,
                },
                "nobody": {"type": "slack", "url": "${NOT_SET:-}"},
            },
        }
    }
    transform = Transform(folder, [project], settings=settings)
    transform.prepare()
    yield transform
    transform.close()
    patch.undo()


def words(world: Transform, word: str) -> None:
    world.projects[0].database.execute(f"UPDATE src.words SET word = '{word}'")


def rows(world: Transform, value: str) -> None:
    world.projects[0].database.execute(f"UPDATE src.raw SET id = {value}")


@pytest.fixture(autouse=True)
def empty(pager: Inbox, team: Inbox, post: Inbox) -> None:
    for inbox in (pager, team, post):
        inbox.posts.clear()
        inbox.mails.clear()


def logged(story: Story) -> str:
    return "\n".join(story.log)


def test_a_run_that_goes_well_tells_nobody_anything(
    world: Transform, pager: Inbox, team: Inbox, post: Inbox
) -> None:
    assert world.run(NODES).success
    assert (pager.sent, team.sent, post.mails) == ([], [], [])


def test_a_failure_is_told_once_to_its_owner_and_so_is_its_recovery(
    world: Transform, pager: Inbox, team: Inbox, post: Inbox
) -> None:
    words(world, "a|b")
    story = world.run(NODES)
    assert not story.success
    (data,) = pager.take()
    assert data["title"] == "Selected assets: 1 failed"
    assert (data["run_id"], data["blocked"]) == (story.run_id, 1)
    assert data["run_url"] == f"https://dagster.example.com/runs/{story.run_id}"
    (failed,) = data["failed"]
    assert failed["name"] == "w/mart/a"
    assert failed["owners"] == ["ada@example.com"]
    assert "Conversion" in failed["reason"]
    assert "1 blocked in this run" in data["text"]
    ((to, mail),) = post.mails
    assert to == ["ada@example.com"]
    assert mail["Subject"] == "Selected assets: 1 failed"
    assert "w/mart/a failed (owned by ada@example.com): " in mail.get_content()
    assert story.run_id in mail.get_content()
    assert team.sent == []
    assert "Alert sent through pager: Selected assets: 1 failed" in story.log
    assert "Alert sent through mail, to ada@example.com: Selected assets: 1 failed" in story.log

    post.mails.clear()
    assert not world.run(NODES).success
    assert (pager.sent, team.sent, post.mails) == ([], [], [])

    words(world, "7")
    assert world.run(NODES).success
    (data,) = pager.take()
    assert (data["title"], data["recovered"]) == ("Selected assets: 1 recovered", ["w/mart/a"])
    ((to, mail),) = post.mails
    assert to == ["ada@example.com"]
    assert "w/mart/a has recovered." in mail.get_content()

    post.mails.clear()
    assert world.run(NODES).success
    assert (pager.sent, post.mails) == ([], [])
    words(world, "a|b")
    world.run(NODES)
    assert len(pager.take()) == 1, "after a recovery it is told again"
    words(world, "7")
    world.run(NODES)


def test_a_check_that_warns_is_told_to_whom_wants_warnings(
    world: Transform, pager: Inbox, team: Inbox
) -> None:
    rows(world, "101")
    assert world.run(["mart.b"]).success
    (data,) = team.take()
    assert "*Selected assets: 1 check warns*" in data["text"]
    assert "w/mart/b:warns check failed (warning) (owned by bob): 1 row" in data["text"]
    assert pager.sent == []
    assert world.run(["mart.b"]).success
    assert team.sent == []
    rows(world, "1")
    assert world.run(["mart.b"]).success
    (data,) = team.take()
    assert "w/mart/b:warns has recovered." in data["text"]
    assert pager.sent == []


def test_a_check_that_is_an_error_is_told_with_a_link(
    world: Transform, pager: Inbox, team: Inbox
) -> None:
    rows(world, "NULL")
    story = world.run(["mart.b"])
    assert not story.success
    (data,) = pager.take()
    assert data["title"] == "Selected assets: 1 check failed"
    assert [(c["name"], c["severity"]) for c in data["failed_checks"]] == [
        ("w/mart/b:not_null", "error")
    ]
    assert data["failed"] == []
    (data,) = team.take()
    url = f"https://dagster.example.com/runs/{story.run_id}"
    assert f"<{url}|Run {story.run_id[:8]}>" in data["text"]
    world.run(["mart.b"])
    assert (pager.sent, team.sent) == ([], [])
    rows(world, "1")
    world.run(["mart.b"])
    assert [data["recovered"] for data in pager.take()] == [["w/mart/b:not_null"]]
    assert len(team.take()) == 1


def test_a_server_that_is_down_for_a_moment_is_asked_again(world: Transform, pager: Inbox) -> None:
    words(world, "a|b")
    pager.answers = [503, 429]
    pager.attempts = 0
    world.run(NODES)
    assert pager.attempts == 3
    assert len(pager.take()) == 1
    words(world, "7")
    world.run(NODES)
    pager.take()


def test_what_could_not_be_sent_is_a_warning_without_secrets_and_comes_with_the_next_run(
    world: Transform, pager: Inbox
) -> None:
    words(world, "a|b")
    pager.answers = [404]
    pager.attempts = 0
    story = world.run(NODES)
    assert "ConversionException" in story.reason("a"), "the run ends as it would have"
    assert pager.attempts == 1, "what is wrong for good is not tried again"
    (line,) = [line for line in story.log if "was not sent" in line]
    assert "Alert through pager was not sent. http://127.0.0.1 answered 404" in line
    assert "Check its URL" in line
    for secret in (TOKEN, "/hook"):
        assert secret not in logged(story)
    assert pager.sent == []
    world.run(NODES)
    assert len(pager.take()) == 1
    words(world, "7")
    world.run(NODES)
    pager.take()


def test_a_server_that_hangs_does_not_hold_the_run_for_long(
    world: Transform, pager: Inbox, post: Inbox
) -> None:
    words(world, "a|b")
    pager.hangs = True
    begin = time.monotonic()
    story = world.run(NODES)
    took = time.monotonic() - begin
    assert not story.success
    assert took < 25, "the limit is 6 seconds, and the machine may be slow"
    assert len(post.mails) == 1, "the others are told all the same"
    assert "Alert through pager was not sent" in logged(story)
    pager.released.set()
    pager.hangs = False
    words(world, "7")
    world.run(NODES)
    # Some of the attempts that were given up were taken in the end.
    pager.take()


def test_a_run_that_can_not_be_carried_out_is_told(
    world: Transform, pager: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv(
        "DAGSTER_TRANSFORM_CLAIMS_URL", f"sqlite:///{tmp_path / 'file' / 'claims.db'}"
    )
    story = world.run(NODES)
    assert not story.success
    (data,) = pager.take()
    (failed,) = data["failed"]
    assert failed["name"] == "the run"
    assert "claims.db" in failed["reason"]
    assert "can't be remembered" in logged(story)
