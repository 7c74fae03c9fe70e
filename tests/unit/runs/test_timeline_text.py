"""A run's timeline as Dagster shows it."""

from __future__ import annotations

from base64 import b64decode
from xml.etree import ElementTree as ET

from dagster_transform.planning import Outcome, UnitKind
from dagster_transform.planning.timeline import Spell, Timeline, timeline_of
from dagster_transform.runs.timeline_picture import picture
from dagster_transform.runs.timeline_text import SHOWN, as_markdown, heading

NAME = 'w/marts/<a>&"b"|c'


def line(count: int = 3) -> Timeline:
    spells = [
        Spell(
            f"p:{at}", UnitKind.BUILD, Outcome.BUILT, True, 1.0, ((1.0 + at, 2.0 + at),),
            {"run 1a2b | x": 2.0} if at == 1 else {}, frozenset({f"p:{at - 1}"} if at else ()),
        )
        for at in range(count)
    ]  # fmt: skip
    spells.append(Spell("p:c", UnitKind.CHECK, Outcome.CHECKED, False, 3.0, ((3.0, 3.5),)))
    return timeline_of([spells], began=0.0, ended=count + 2.0)


def test_the_heading_says_what_matters_most() -> None:
    assert heading(line()) == (
        "3 builds and 1 check in 5.00 s, the first after 1.00 s; at most 1 build at once "
        "(0.8 on average from then on); the longest chain of 3 takes 3.00 s"
    )
    assert heading(timeline_of([], began=0, ended=7320)) == "Nothing in 2 h 2 min"


def test_tables_have_what_was_waited_for_and_who_ran_when() -> None:
    text = as_markdown(line(), lambda unit: unit.removeprefix("p:"))
    assert "| run 1a2b \\| x | 1 unit | 2.00 s |" in text
    assert "| `1` | built | 2.0 | 1.00 | 1 | 2.0 |" in text
    assert "| `c` | checked, a blocking check failed | 3.0 | 0.50 | 1 |  |" in text
    assert "Before the first began: 1.00 s" in text
    assert "1. `0` 1.00 s\n2. `1` 1.00 s" in text


def test_the_picture_is_an_svg_whatever_things_are_called() -> None:
    drawn = picture(line(), line().spells, lambda _: NAME)
    root = ET.fromstring(drawn)
    texts = [each.text for each in root.iter() if each.tag.endswith("text")]
    assert texts.count(NAME) == 4
    fills = [each.get("fill") for each in root.iter() if each.tag.endswith("rect")]
    assert fills.count("#c0392b") == 1  # the check
    assert fills.count("#f0c36d") == 1  # who waited
    image = as_markdown(line(), str).split("base64,")[1].split(")")[0]
    assert ET.fromstring(b64decode(image)).tag.endswith("svg")


def test_what_is_stored_of_a_large_run_is_bounded() -> None:
    text = as_markdown(line(2000), lambda unit: f"warehouse/marts/{unit}")
    assert len(text) < 40_000
    assert text.count("`warehouse/marts/") == SHOWN + 30
    assert f"Of 2,001 units the {SHOWN} that" in text
    assert "... and 1970 more" in text
