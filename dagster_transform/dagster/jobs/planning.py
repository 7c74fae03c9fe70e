"""What the plan job does: explain, and apply what was explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
import yaml

from dagster_transform.config import SettingError, SqlmeshProject, TransformConfig
from dagster_transform.dagster._compat import output_metadata, tag_run
from dagster_transform.dagster.execution.claims import new_claims, warn_of_memory
from dagster_transform.dagster.execution.event_writer import EventWriter
from dagster_transform.dagster.execution.failure import failure_of
from dagster_transform.dagster.execution.ports import InstanceRecords
from dagster_transform.dagster.execution.run_options import TransformResource
from dagster_transform.dagster.execution.timeline import tell_timeline
from dagster_transform.dagster.jobs.plan import OUTPUT, PlanConfig
from dagster_transform.dagster.translation.keys import Keys, keys_of
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.errors import TransformError
from dagster_transform.graph import (
    Graph,
    GraphFileError,
    SourceFile,
    fingerprint,
    names_by_reference,
    names_of,
    write_graph_file,
)
from dagster_transform.planning import timed, times_of
from dagster_transform.runs.carry_out import RunPorts, carry_out
from dagster_transform.runs.check_failures import fails_of
from dagster_transform.runs.claiming.claims import RunClaims
from dagster_transform.runs.options import RunOptionError, moment_of_run
from dagster_transform.runs.participants import Participants
from dagster_transform.runs.rounds import Selection
from dagster_transform.sqlmesh import (
    SqlmeshSettings,
    end_backends,
    project_shared_resources,
    propose_plan,
)
from dagster_transform.sqlmesh.errors import PlanRefusedError
from dagster_transform.sqlmesh.plans.differences import differences
from dagster_transform.sqlmesh.plans.digest import moment_of
from dagster_transform.sqlmesh.plans.explanation import PlanExplanation, from_json
from dagster_transform.sqlmesh.plans.markdown import as_markdown

if TYPE_CHECKING:
    from dagster_transform.sqlmesh.plans.proposal import Proposal

PLAN = "dagster_transform/plan"
JSON = "dagster_transform/plan_json"
DIGEST = "dagster_transform/plan_digest"
SNIPPET = "dagster_transform/apply_with"
_SHOWN = 20
"""Differences that a refusal lists."""


class Planning:
    """What one plan job works with."""

    def __init__(
        self,
        op: str,
        name: str,
        project: SqlmeshProject,
        config: TransformConfig,
        translator: TransformTranslator,
    ) -> None:
        self._op = op
        self._name = name
        self._project = project
        self._config = config
        self._translator = translator

    def run(
        self, context: dg.OpExecutionContext, asked: PlanConfig, options: TransformResource
    ) -> Iterator[dg.Output[None]]:
        """Explain, and apply if that was asked for.

        Raises:
            dg.Failure: The plan is refused, or its application failed.
        """
        proposal: Proposal | None = None
        claims: RunClaims | None = None
        try:
            now = _moment(asked, options)
            # Taken before reading: a file that changes in between makes the graph file stale.
            sources = fingerprint(self._config.root, self._project.paths)
            paths = [str(path) for path in self._project.paths]
            end = partial(end_backends, self._name, self._project, paths)
            claims = new_claims(context, self._config, options, end)
            warn_of_memory(context, claims.held.store, options.lifetime)
            settings = SqlmeshSettings(
                environment=self._project.environment,
                paths=paths,
                now=now,
                guard=claims.held,
            )
            shared = project_shared_resources(
                self._name, self._project, settings, alone=asked.apply
            )
            claims.take_shared({self._name: shared})
            context.log.info(f"Project {self._name}: reading its files, making its plan")
            proposal = propose_plan(self._name, self._project, settings, asked.request)
            # An environment is planned as a whole: also what transform.yaml leaves out is built.
            whole = {"select": (), "exclude": (), "source_keys": {}, "column_lineage": False}
            everything = self._project.model_copy(update=whole)
            graph = proposal.graph_file(everything, self._config.root, sources).graph
            graph = timed(graph, times_of(self._config))
            keys = keys_of(graph, self._translator)
            graph = keys.named(graph)
            explanation = proposal.explanation.named(names_by_reference(graph, self._name))
            yield self._show(context, explanation)
            applies = asked.apply and self._may_apply(context, asked, explanation)
            tested = explanation.needed and not asked.skip_tests
            if tested and (applies or not asked.apply):
                proposal.refuse_failing_tests()
            if applies:
                self._apply(context, options, proposal, graph, keys, claims=claims)
                self._refresh_graph(context, proposal, sources)
        except TransformError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None
        finally:
            if proposal is not None:
                proposal.close()
            if claims is not None:
                claims.close()

    def _show(
        self, context: dg.OpExecutionContext, explanation: PlanExplanation
    ) -> dg.Output[None]:
        """Into the log, and as metadata: stored now, whatever becomes of the rest of the run."""
        text = as_markdown(explanation)
        metadata: dict[str, Any] = {
            PLAN: dg.MetadataValue.md(text),
            JSON: dg.MetadataValue.json(explanation.to_json()),
            DIGEST: explanation.digest,
            **{f"dagster_transform/{key}": n for key, n in explanation.counts.items()},
        }
        if explanation.needed and not explanation.undecided:
            snippet = self._snippet(explanation)
            metadata[SNIPPET] = dg.MetadataValue.md(f"```yaml\n{snippet}\n```")
            text += f"\n\nTo apply exactly this, run {self._name}_plan with:\n\n{snippet}"
        context.log.info(text)
        tag_run(context.instance, context.run_id, {DIGEST: explanation.digest})
        return dg.Output(None, OUTPUT, metadata=metadata)

    def _snippet(self, explanation: PlanExplanation) -> str:
        """Run config that applies what was explained."""
        config = {"apply": True, "digest": explanation.digest, **explanation.request.given}
        return yaml.safe_dump({"ops": {self._op: {"config": config}}}, sort_keys=False).rstrip()

    def _may_apply(
        self,
        context: dg.OpExecutionContext,
        asked: PlanConfig,
        now: PlanExplanation,
    ) -> bool:
        """Whether there is something to apply.

        Raises:
            PlanRefusedError: It must not be: it is not what was shown.
        """
        if asked.digest is not None and now.digest != asked.digest:
            shown = _shown(context.instance, asked.digest)
            if shown is not None and not now.needed and shown.target == now.target:
                context.log.info(f"Plan {asked.digest} has been applied already: nothing to do.")
                return False
            if changes := self._what_changed(asked.digest, shown, now):
                raise PlanRefusedError(
                    f"Project {self._name}: nothing was applied. {changes}",
                    remedy="Look at the new plan in this run's log. Apply it with digest "
                    f"{now.digest}.",
                )
            context.log.info("A part of what was shown has been built since: the rest is applied.")
        if not now.needed:
            context.log.info("Nothing to apply.")
            return False
        return True

    def _what_changed(
        self, digest: str, shown: PlanExplanation | None, now: PlanExplanation
    ) -> str:
        """Why the plan is not the one that was shown; empty if it is a part of it."""
        if shown is None:
            return (
                f"The plan has another digest now, {now.digest}. What has changed since {digest} "
                "can't be told: this Dagster instance does not have the run that showed it."
            )
        if not (found := differences(shown, now)):
            return ""
        listing = "\n- ".join(found[:_SHOWN])
        more = f"\n- and {len(found) - _SHOWN} more" * (len(found) > _SHOWN)
        return f"The plan is not what was shown as {digest}:\n- {listing}{more}"

    def _apply(
        self,
        context: dg.OpExecutionContext,
        options: TransformResource,
        proposal: Proposal,
        graph: Graph,
        keys: Keys,
        *,
        claims: RunClaims,
    ) -> None:
        context.log.info(f"Project {self._name}: applying its plan")
        if not graph.nodes:
            proposal.apply_without_models()
        else:
            writer = EventWriter(context, graph, keys, self._translator)
            participants = Participants(
                graph, {self._name: proposal.project_run(graph)}, context.log
            )
            records = InstanceRecords(context.instance, keys)
            ports = RunPorts(context.log, records, writer)
            run = carry_out(
                graph,
                Selection(graph.nodes.keys(), graph.checks.keys()),
                participants=participants,
                claims=claims,
                limits=options.limits(self._config),
                ports=ports,
                fails=fails_of(self._config, graph, None, builds=True),
            )
            summary = writer.store_all(run)
            tell_timeline(context, ports.times, names_of(graph))
            if failure := failure_of(summary):
                raise failure
        environment = proposal.explanation.environment
        if not proposal.is_applied():
            raise PlanRefusedError(
                f"Project {self._name}: the plan was not applied, and environment {environment} "
                "is what it was: the log says what its models wait for."
            )
        context.log.info(f"Plan applied: environment {environment} is equal to the files.")

    def _refresh_graph(
        self, context: dg.OpExecutionContext, proposal: Proposal, sources: Mapping[str, SourceFile]
    ) -> None:
        """Write what is promoted now into the graph file, where it can be written."""
        path = self._config.graph_target(self._name)
        try:
            found = proposal.graph_file(self._project, self._config.root, sources)
            write_graph_file(path, found)
        except (GraphFileError, SettingError) as error:
            context.log.warning(
                f"{error.cause}\n{path} still says what was promoted before this plan: run "
                f"`{self._config.prepare_command(self._name)}` where you deploy from."
            )
        else:
            context.log.info(f"{path} is up to date: reload the code location to see new models.")


def _moment(asked: PlanConfig, options: TransformResource) -> datetime:
    """The plan's moment: that of the plan that was shown, so that it can be the same plan."""
    if asked.digest is None:
        return moment_of_run(options.execution_time).replace(microsecond=0)
    if not asked.apply:
        raise RunOptionError(
            "digest says what to apply, and apply is false.",
            remedy="Set apply: true, or leave the digest out.",
        )
    if options.execution_time is not None:
        raise RunOptionError(
            "digest and execution_time exclude each other: a digest has its own time.",
            remedy="Leave execution_time out.",
        )
    try:
        return moment_of(asked.digest)
    except ValueError as error:
        raise RunOptionError(
            f"{error}.", remedy="Copy it from the log of the run that has explained the plan."
        ) from None


def _shown(instance: dg.DagsterInstance, digest: str) -> PlanExplanation | None:
    """What was explained under this digest, in the newest run that did it."""
    records = instance.get_run_records(dg.RunsFilter(tags={DIGEST: digest}), limit=_SHOWN)
    for record in records:
        for metadata in output_metadata(instance, record.dagster_run.run_id):
            value = metadata.get(JSON)
            try:
                found = from_json(value.value) if value is not None else None
            except ValueError:
                continue  # of another version of this package
            if found is not None and found.digest == digest:
                return found
    return None
