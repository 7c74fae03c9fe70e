"""Whether a graph file still fits what it was made from."""

from __future__ import annotations

from pathlib import Path

from dagster_transform.graph import Graph, GraphFile, fingerprint, why_stale


def test_settings_that_have_changed_are_named(tmp_path: Path) -> None:
    found = GraphFile(Graph.of(), "p", settings={"vars": "1", "select": "2"})

    def why(settings: dict[str, str]) -> str | None:
        return why_stale(found, tmp_path, [tmp_path], None, settings)

    assert why({"vars": "1", "select": "2"}) is None
    assert why({"vars": "0", "select": "2"}) == "was made with other vars than transform.yaml says"
    assert why({"vars": "1"}) == "was made with other select than transform.yaml says"
    text = why({"vars": "1", "key_prefix": "3"})
    assert text == "was made with other key_prefix and select than transform.yaml says"


def test_the_environment_and_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("SELECT 1")
    sources = fingerprint(tmp_path, [tmp_path])
    found = GraphFile(Graph.of(), "p", "prod", sources_digest=sources)
    assert why_stale(found, tmp_path, [tmp_path], "prod", {}) is None
    assert "dev" in str(why_stale(found, tmp_path, [tmp_path], "dev", {}))
    (tmp_path / "a.sql").write_text("SELECT 2")
    assert "changed a.sql" in str(why_stale(found, tmp_path, [tmp_path], "prod", {}))
