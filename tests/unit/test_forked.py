"""A forked command is a process as another: only its imports are done."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.forked import ForkServer

SAYS = """
import os, sys
known = ("TMPDIR" in os.environ, "decimal" in sys.modules)
print(os.getcwd(), sys.argv[1:], os.environ["NAME"], *known)
print(os.getpid(), file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture(scope="module")
def server() -> ForkServer:
    return ForkServer(["decimal"])


def test_it_has_arguments_folder_environment_output_and_exit_code(
    server: ForkServer, tmp_path: Path
) -> None:
    done = server.run(["-c", SAYS, "a", "b c"], tmp_path, {"NAME": "x"}, 20)
    assert done.returncode == 3
    assert done.stdout == f"{tmp_path} ['a', 'b c'] x False True\n"
    again = server.run(["-c", SAYS], tmp_path, {"NAME": "y"}, 20)
    assert again.stdout == f"{tmp_path} [] y False True\n"
    assert len({done.stderr, again.stderr, f"{os.getpid()}\n"}) == 3


def test_a_module_is_found_as_python_finds_it(server: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here" / "one.py").write_text("import two, sys; print(__name__, sys.argv[1:])")
    (tmp_path / "elsewhere" / "two.py").write_text("print('two')")
    environment = {"PYTHONPATH": str(tmp_path / "elsewhere")}
    done = server.run(["-m", "one", "x"], tmp_path / "here", environment, 20)
    assert done.stdout == "two\n__main__ ['x']\n", done.stderr
    failed = server.run(["-m", "one"], tmp_path / "here", {}, 20)
    assert failed.returncode == 1
    assert "No module named 'two'" in failed.stderr


def test_it_is_killed_when_its_time_is_over_and_the_next_one_runs(
    server: ForkServer, tmp_path: Path
) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        server.run(["-c", "import time; time.sleep(60)"], tmp_path, {}, 0.5)
    assert server.run(["-c", "print(1)"], tmp_path, {}, 20).stdout == "1\n"
