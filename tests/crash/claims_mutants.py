"""Each guard of claims taken out, and the test that notices it: `make crash`.

Not a `test_` file: it starts pytest once for each mutant, in a copy of the tree.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.folders import REPOSITORY

BARRIERS = "tests/contract/claims/test_store_barriers.py"
FAULTS = "tests/crash/claims_faults.py"
GRANTS = "tests/contract/claims/test_store_grants.py"
HEARTBEAT = "tests/unit/claims/test_heartbeat.py"
LEASES = "tests/contract/claims/test_store_leases.py"
QUEUES = "tests/contract/claims/test_store_queues.py"
RECORDS = "tests/contract/claims/test_store_records.py"
RELEASING = "tests/unit/claims/test_releasing.py"
VALUES = "tests/unit/claims/test_values.py"


@dataclass(frozen=True)
class Mutant:
    """What is changed, and who must notice.

    Attributes:
        file: Below `dagster_transform/claims/`.
        changes: Texts that are in the file once, and what replaces them.
        tests: At least one of them must fail.
    """

    name: str
    file: str
    changes: tuple[tuple[str, str], ...]
    tests: tuple[str, ...]


def mutant(name: str, file: str, *rest: str) -> Mutant:
    """Pairs of texts, and last the test."""
    pairs = tuple(zip(rest[:-1:2], rest[1:-1:2], strict=True))
    return Mutant(name, file, pairs, (rest[-1],))


MUTANTS = (
    mutant(
        "capacity one too many", "admission.py",
        "+ want.weight <= want.capacity:", "+ want.weight <= want.capacity + 1:",
        f"{GRANTS}::test_a_capacity_is_never_exceeded_and_weights_count",
    ),
    mutant(
        "earlier attempts join later ones", "admission.py", "    if later:", "    if False:",
        f"{LEASES}::test_an_earlier_attempt_never_joins_a_later_one",
    ),
    mutant(
        "waiters gate the takeover of a dead claim", "admission.py",
        "() if takes_over else precedence(", "precedence(",
        f"{QUEUES}::test_what_a_dead_claim_left_is_not_kept_for_who_waits",
    ),
    mutant(
        "no queue", "tickets.py", "return [w for w in waiters if w.rank < own.rank]", "return []",
        f"{QUEUES}::test_who_waits_is_served_first_come_first_served",
    ),
    mutant(
        "passers-by go before who waits", "tickets.py",
        "return [w for w in waiters if w.owner.priority >= request.owner.priority]", "return []",
        f"{QUEUES}::test_who_waits_is_served_first_come_first_served",
    ),
    mutant(
        "no priority", "records.py", "return (-self.owner.priority, self.ticket)",
        "return (0, self.ticket)", f"{QUEUES}::test_a_persons_run_comes_before_a_ticks",
    ),
    mutant(
        "not idempotent", "admission.py", "if mine is not None:", "if False:",
        f"{GRANTS}::test_the_same_claim_asked_for_again_is_the_same_grant",
    ),
    mutant(
        "fences do not rise", "admission.py", "fences[key] + 1", "max(1, fences[key])",
        f"{LEASES}::test_a_lease_that_nobody_renews_is_taken_over_with_a_higher_fence",
    ),
    mutant(
        "a lease lives on at its end", "records.py", "self.expires_at > now",
        "self.expires_at >= now",
        f"{LEASES}::test_a_lease_that_nobody_renews_is_taken_over_with_a_higher_fence",
    ),
    mutant(
        "some instead of nothing", "admission.py", "if refused and request.all_or_nothing:",
        "if False:", f"{GRANTS}::test_all_or_nothing_grants_nothing_where_something_is_taken",
    ),
    mutant(
        "upgrades", "admission.py", "if mine.weight < want.weight:", "if False:",
        f"{GRANTS}::test_more_of_what_is_held_is_never_granted",
    ),
    mutant(
        "resources not locked", "store/acquiring.py",
        ".order_by(_resource.c.resource_key)\n        .with_for_update()",
        ".order_by(_resource.c.resource_key)",
        f"{BARRIERS}::test_who_comes_second_sees_what_the_first_was_granted",
    ),
    mutant(
        "leases counted as they were before the lock", "store/acquiring.py",
        "        resources = self._lock_resources()",
        "        leases = self._leases()\n        resources = self._lock_resources()",
        "        leases = self._leases()\n        mine", "        mine",
        f"{BARRIERS}::test_who_comes_second_sees_what_the_first_was_granted",
    ),
    mutant(
        "locks in any order", "store/acquiring.py", ".order_by(_resource.c.resource_key)",
        '.order_by(__import__("sqlalchemy").text("random()"))',
        f"{BARRIERS}::test_many_who_want_the_same_never_wait_in_a_circle",
    ),
    mutant(
        "claims not locked when taken over", "store/acquiring.py",
        ".order_by(_batch.c.claim_id)\n        .with_for_update()",
        ".order_by(_batch.c.claim_id)",
        f"{BARRIERS}::test_a_renewal_under_way_is_not_taken_over",
    ),
    mutant(
        "claims not locked when they grow", "store/acquiring.py",
        ".order_by(_batch.c.claim_id)\n        .with_for_update()",
        ".order_by(_batch.c.claim_id)",
        f"{BARRIERS}::test_what_is_released_while_more_is_asked_for_leaves_nothing_unseen",
    ),
    mutant(
        "an id lives after its lease", "store/acquiring.py",
        "if batch is not None and batch.expires_at <= now:", "if False:",
        f"{LEASES}::test_renewing_keeps_a_claim_and_too_late_is_too_late",
    ),
    mutant(
        "asking again does not prolong", "store/acquiring.py",
        "if decision.granted or decision.held:", "if decision.granted:",
        f"{GRANTS}::test_asking_again_prolongs_all_that_the_claim_holds",
    ),
    mutant(
        "dead leases stay", "store/acquiring.py",
        'remove(database, connection, decision.stale, now, "expired")', "pass",
        f"{LEASES}::test_a_lease_that_nobody_renews_is_taken_over_with_a_higher_fence",
    ),
    mutant(
        "backends are not inherited", "store/acquiring.py", "as_text(inherited.get(key, ()))", '""',
        f"{LEASES}::test_whoever_takes_over_gets_to_know_which_backends_to_end",
    ),
    mutant(
        "places at what is free", "store/queues.py",
        "if want.resource_key in refused and want", "if want",
        f"{QUEUES}::test_who_waits_for_one_thing_does_not_keep_another_idle",
    ),
    mutant(
        "places are kept for ever", "store/acquiring.py",
        "seen_until = now + self.terms.waiter_life", "seen_until = now + 1e6",
        f"{QUEUES}::test_who_waits_is_served_first_come_first_served",
    ),
    mutant(
        "renewed after the end", "store/grants.py", "if until is None or until > now]", "]",
        f"{LEASES}::test_renewing_keeps_a_claim_and_too_late_is_too_late",
    ),
    mutant(
        "renewed whatever the fence", "store/grants.py", "if (claim, k, f) not in found",
        "if (claim, k) not in {x[:2] for x in found}",
        f"{LEASES}::test_a_grant_of_the_past_is_lost_also_under_the_same_id",
    ),
    mutant(
        "released without a lock", "store/removing.py",
        '== bindparam("claim")).with_for_update()', '== bindparam("claim"))',
        f"{BARRIERS}::test_a_takeover_under_way_is_not_released",
    ),
    mutant(
        "renewed without a lock", "store/removing.py",
        ".order_by(_batch.c.claim_id)\n        .with_for_update()",
        ".order_by(_batch.c.claim_id)",
        f"{BARRIERS}::test_a_renewal_under_way_is_not_taken_over",
    ),
    mutant(
        "held whatever the fence", "store/grants.py", "_lease.c.fence == fence,", "",
        f"{LEASES}::test_a_grant_of_the_past_is_lost_also_under_the_same_id",
    ),
    mutant(
        "held after the end", "store/grants.py",
        "or_(_batch.c.expires_at.is_(None), _batch.c.expires_at > now),", "",
        f"{LEASES}::test_a_lease_that_nobody_renews_is_taken_over_with_a_higher_fence",
    ),
    mutant(
        "later attempts released too", "store/recovery.py",
        "if below_attempt is not None:", "if False:",
        f"{LEASES}::test_a_later_attempt_takes_over_only_when_the_earlier_is_over",
    ),
    mutant(
        "pauses end with a run", "store/recovery.py", "[_batch.c.run_id == run_id, ~IS_PAUSE]",
        "[_batch.c.run_id == run_id]", f"{LEASES}::test_a_run_that_ended_is_released_at_once",
    ),
    mutant(
        "a dead run waits on", "store/recovery.py", "places = [_waiter.c.run_id == run_id]",
        "places = [_waiter.c.run_id == '']",
        f"{LEASES}::test_a_run_that_ended_is_released_at_once",
    ),
    mutant(
        "what is lost is downgraded", "store/grants.py", "not as_lease(row).live(now)", "False",
        f"{LEASES}::test_what_is_lost_is_not_downgraded",
    ),
    mutant(
        "pauses not locked", "store/pauses.py",
        "select(_resource).where(_resource.c.resource_key == resource_key).with_for_update()",
        "select(_resource).where(_resource.c.resource_key == resource_key)",
        f"{BARRIERS}::test_a_pause_under_way_is_waited_for",
    ),
    mutant(
        "launched by all", "store/pending.py", "update(pending).where(_is(node), free)",
        "update(pending).where(_is(node))",
        f"{BARRIERS}::test_pending_work_is_launched_by_one_of_two",
    ),
    mutant(
        "launched again where the answer was lost", "store/pending.py",
        "| (pending.c.launched_run_id == run_id)", "",
        f"{RECORDS}::test_pending_nodes_are_launched_once",
    ),
    mutant(
        "tables made without a lock", "store/postgres.py",
        'connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})',
        'text("")', f"{BARRIERS}::test_tables_are_made_once_by_two_who_start_at_once",
    ),
    mutant(
        "what is read is from the transaction's start", "store/postgres.py", '"READ COMMITTED"',
        '"REPEATABLE READ"', f"{BARRIERS}::test_who_comes_second_sees_what_the_first_was_granted",
    ),
    mutant(
        "transactions without end", "store/postgres.py",
        "SET idle_in_transaction_session_timeout = {patience}", "SELECT 1",
        f"{FAULTS}::test_stopped_with_locks_a_process_does_not_hold_up_the_others",
    ),
    mutant(
        "cut connections are not tried again", "store/database.py",
        "if last or not error.connection_invalidated:", "if True:",
        f"{FAULTS}::test_stopped_with_locks_a_process_does_not_hold_up_the_others",
    ),
    mutant(
        "locked when written", "store/sqlite.py", '"BEGIN IMMEDIATE"', '"BEGIN"',
        f"{BARRIERS}::test_who_comes_second_sees_what_the_first_was_granted",
    ),
    mutant(
        "the machine's clock", "store/sqlite.py", "if self._began is None else", "if True else",
        f"{LEASES}::test_a_machines_clock_that_is_set_changes_nothing",
    ),
    mutant(
        "newer tables are used", "store/schema.py", "if found > VERSION:", "if False:",
        f"{VALUES}::test_tables_of_a_newer_version_are_left_alone",
    ),
    mutant(
        "trust from the answer on", "lease/heartbeat.py", "asked_at + lease - self._margin)",
        "self._clock() + lease - self._margin)",
        f"{HEARTBEAT}::test_trust_runs_from_before_the_request_less_a_margin",
    ),
    mutant(
        "trust to the very end", "lease/heartbeat.py",
        "self._margin = store.timing.margin", "self._margin = 0.0",
        f"{HEARTBEAT}::test_trust_runs_from_before_the_request_less_a_margin",
    ),
    mutant(
        "nobody watches the time", "lease/heartbeat.py", "for work in (self._beat, self._watch):",
        "for work in (self._beat,):",
        f"{HEARTBEAT}::test_a_store_that_stays_away_is_a_loss_before_the_lease_ends",
    ),
    mutant(
        "no heartbeat", "lease/heartbeat.py", "for work in (self._beat, self._watch):",
        "for work in (self._watch,):",
        f"{HEARTBEAT}::test_what_is_renewed_outlives_its_lease_and_what_is_not_does_not",
    ),
    mutant(
        "what could not be released is forgotten", "lease/releasing.py",
        "                        self._enqueue(*found)", "                        pass",
        f"{RELEASING}::test_what_could_not_be_released_is_released_later",
    ),
    mutant(
        "closing forgets what is queued", "lease/releasing.py",
        "                self.flush()\n        except", "                pass\n        except",
        f"{RELEASING}::test_closing_releases_what_is_queued",
    ),
    mutant(
        "asked for before it is released", "lease/heartbeat.py", "self._releases.flush()", "pass",
        f"{RELEASING}::test_what_is_asked_for_after_a_release_is_free",
    ),
    mutant(
        "releases one by one", "lease/releasing.py", "known | set(keys)", "set(keys)",
        f"{RELEASING}::test_nobody_waits_for_a_release_and_what_comes_meanwhile_goes_together",
    ),
    mutant(
        "the new is taken for the lost", "lease/heartbeat.py",
        "if kept.fences.get(k) == grant.fences[k]", "",
        f"{HEARTBEAT}::test_what_is_granted_while_a_renewal_is_under_way_is_not_taken_for_lost",
    ),
    mutant(
        "one callback's failure is everybody's", "lease/heartbeat.py",
        "except Exception:  # noqa: BLE001 - the others",
        "except SystemExit:  # noqa: BLE001 - the",
        f"{HEARTBEAT}::test_a_callback_that_fails_does_not_keep_others_from_being_called",
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the tests of claims need."""
    copy = tmp_path_factory.mktemp("tree")
    ignored = shutil.ignore_patterns("__pycache__", "golden", "integration", "browser")
    for folder in ("dagster_transform", "tests"):
        shutil.copytree(REPOSITORY / folder, copy / folder, ignore=ignored)
    shutil.copy(REPOSITORY / "pyproject.toml", copy)
    return copy


def passes(tree: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run tests in the copy, which is the first place that Python looks for the package."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(
        command, cwd=tree, check=False, timeout=110, capture_output=True, text=True
    )


@pytest.mark.crash
def test_without_a_change_they_pass(tree: Path) -> None:
    tests = tuple(dict.fromkeys(test for found in MUTANTS for test in found.tests))
    probe = [sys.executable, "-c", "import dagster_transform; print(dagster_transform.__file__)"]
    found = subprocess.run(probe, cwd=tree, check=True, capture_output=True, text=True)
    assert Path(found.stdout.strip()).is_relative_to(tree)
    result = passes(tree, tests)
    assert result.returncode == 0, result.stdout


@pytest.mark.crash
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda found: found.name.replace(" ", "-"))
def test_it_is_noticed(tree: Path, mutant: Mutant) -> None:
    path = tree / "dagster_transform" / "claims" / mutant.file
    text = path.read_text(encoding="utf-8")
    try:
        changed = text
        for old, new in mutant.changes:
            assert changed.count(old) == 1, f"{old!r} is there {changed.count(old)} times"
            changed = changed.replace(old, new)
        path.write_text(changed, encoding="utf-8")
        result = passes(tree, mutant.tests)
        assert result.returncode == 1, result.stdout  # tests failed; not: pytest could not run
    finally:
        path.write_text(text, encoding="utf-8")
