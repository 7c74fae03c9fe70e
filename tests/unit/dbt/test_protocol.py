"""The messages between a run and its dbt process: what is said is heard, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_transform.dbt import protocol
from dagster_transform.dbt.protocol import (
    VERSION,
    BatchDone,
    Begin,
    Cancel,
    CloseFiles,
    Connected,
    End,
    Ended,
    FilesClosed,
    Interrupt,
    Loaded,
    Log,
    Made,
    MayBuild,
    Measured,
    Open,
    ProtocolError,
    Ready,
    Result,
    Start,
    decode_news,
    decode_order,
    encode,
)

BEGIN = Begin(("build", "--threads", "2"), "/project", "name", 25.0, ("row_counts",))
LOADED = Loaded(
    connection={"type": "postgres", "host": "h"},
    threads=4,
    invocation="abc",
    server={"connect": {"password": "hunter2"}},
    metadata={"dbt_version": "1.11.16", "args": {}},
    places={"model.p.a": {"schema": "main", "alias": "a"}},
)
RESULT = Result(
    7,
    "warn",
    message="Got 3 results",
    seconds=0.5,
    cancelled=True,
    made=True,
    transient=True,
    rows=10,
    failures=3,
    relation='"w"."main"."a"',
    query_id="q1",
    query="select 1",
    batches=(2, 3),
    artifact={"unique_id": "model.p.a", "timing": [{"name": "compile"}]},
    measured_follows=True,
)
ORDERS = [
    BEGIN,
    Open(("model.p.a", "test.p.b")),
    Start(1, "model.p.a"),
    Cancel(1),
    MayBuild(3, True),
]
ORDERS += [CloseFiles(), End(), Interrupt()]
NEWS = [
    LOADED,
    Ready(("model.p.gone",), ("seed.p.s",)),
    Connected(7, 3),
    Made(7),
    RESULT,
    Result(8, "pass"),
    FilesClosed(),
]
NEWS += [Measured(7, 10, {"id": "integer"}), Measured(8, problem="it is gone")]
NEWS += [Measured(9, lineage={"id": [["model.p.a", "n"]]}, reads={"model.p.a": {"alias": "a"}})]
NEWS += [
    BatchDone(7, 120, 1155, "2024-03-01"),
    Log("warn", "a\nb"),
    Ended(True),
    Ended(False, "it broke", ("a hook failed",)),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda m: type(m).__name__)
def test_an_order_is_heard_as_it_was_given(order: Any) -> None:
    line = encode(order)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_order(line) == order


@pytest.mark.parametrize("news", NEWS, ids=lambda m: type(m).__name__)
def test_news_are_heard_as_they_were_told(news: Any) -> None:
    assert decode_news(encode(news)) == news


def test_every_message_is_in_these_tests() -> None:
    assert {type(m) for m in ORDERS} == set(get_args(protocol.Order))
    assert {type(m) for m in NEWS} == set(get_args(protocol.News))


@given(st.text(), st.floats(0, 1e6), st.none() | st.integers(0, 2**60))
def test_any_text_and_number_survives(text: str, seconds: float, rows: int | None) -> None:
    result = Result(1, "error", text, seconds, rows=rows, artifact={text: text})
    line = encode(result)
    assert line.count(b"\n") == 1
    assert decode_news(line) == result


def test_what_json_does_not_know_becomes_text() -> None:
    heard = decode_news(encode(Result(1, "success", artifact={"n": Decimal("1.5"), "d": DAY})))
    assert isinstance(heard, Result)
    assert heard.artifact == {"n": "1.5", "d": "2024-03-05"}


DAY = date(2024, 3, 5)


def test_neither_side_takes_what_is_meant_for_the_other() -> None:
    with pytest.raises(ProtocolError, match=r"Unknown order 'ready'; known: begin, open, start"):
        decode_order(encode(Ready(())))
    with pytest.raises(
        ProtocolError, match=r"Unknown news 'start'; known: loaded, ready, connected"
    ):
        decode_news(encode(Start(1, "a")))


@pytest.mark.parametrize("message", [BEGIN, LOADED], ids=["begin", "loaded"])
@pytest.mark.parametrize("version", [VERSION + 1, None, "1"])
def test_another_version_is_told_before_anything_else(message: Any, version: object) -> None:
    content = json.loads(encode(message)) | {"version": version}
    content.pop("threads", None)
    content["new_in_that_version"] = 1
    decode = decode_order if message is BEGIN else decode_news
    with pytest.raises(ProtocolError, match="speaks version") as told:
        decode(json.dumps(content).encode())
    assert "run again" in str(told.value)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "Not a message: b''"),
        (b"{", "Not a message"),
        (b"Traceback (most recent call last):\n", "Not a message: b'Traceback"),
        (b"[]", "Not a message"),
        (b"null", "Not a message"),
        (b'{"is": 3}', "Not a message"),
        (b'{"token": 3}', "Not a message"),
        (b'{"is": "stop"}', "Unknown order 'stop'"),
        (b'{"is": "start", "token": 1}', "start: node is missing"),
        (b'{"is": "start", "token": "1", "node": "a"}', "start: token must be int, not '1'"),
        (b'{"is": "start", "token": true, "node": "a"}', "start: token must be int, not True"),
        (b'{"is": "start", "token": 1, "node": null}', "start: node must be UniqueId, not None"),
        (b'{"is": "open", "nodes": "abc"}', "open: nodes must be tuple"),
        (b'{"is": "open", "nodes": ["a", 1]}', "open: nodes must be tuple"),
        (b'{"is": "cancel", "token": 1, "at_once": true}', "cancel: unknown at_once"),
        (b'{"is": "end", "b": 1, "a": 1}', "end: unknown a, b"),
        (b"\xff\xfe", "Not a message"),
    ],
)
def test_a_line_that_is_no_order_is_an_error_that_says_why(line: bytes, problem: str) -> None:
    with pytest.raises(ProtocolError) as told:
        decode_order(line)
    assert problem in str(told.value)


@pytest.mark.parametrize("batches", [[1], [1, "2"], "12", [1, 2, 3], [True, 2]])
def test_batches_are_two_numbers(batches: object) -> None:
    line = json.dumps({"is": "result", "token": 1, "status": "success", "batches": batches})
    with pytest.raises(ProtocolError, match="batches must be"):
        decode_news(line.encode())


def test_a_number_may_come_without_its_fraction() -> None:
    heard = decode_news(b'{"is": "result", "token": 1, "status": "success", "seconds": 2}')
    assert heard == Result(1, "success", seconds=2)


def test_a_long_line_is_not_shown_in_whole() -> None:
    with pytest.raises(ProtocolError) as told:
        decode_order(b"x" * 10_000)
    assert len(str(told.value)) < 120


def test_a_password_is_never_shown() -> None:
    assert "hunter2" not in repr(LOADED)
    line = json.loads(encode(LOADED)) | {"threads": "4"}
    with pytest.raises(ProtocolError) as told:
        decode_news(json.dumps(line).encode())
    assert "hunter2" not in str(told.value)


def test_every_declared_type_is_checked() -> None:
    """A field with a type that nobody checks would raise KeyError in mid-run."""
    kinds = (*get_args(protocol.Order), *get_args(protocol.News))
    declared = {str(f.type) for kind in kinds for f in fields(kind)}
    assert declared == set(protocol._FITS)
