"""What a plan would do that another explanation of it does not say."""

from __future__ import annotations

from dagster_transform.sqlmesh.intervals import in_words, minus
from dagster_transform.sqlmesh.plans.explanation import Change, PlanExplanation


def differences(shown: PlanExplanation, now: PlanExplanation) -> list[str]:
    """What applying `now` would do that `shown` does not say, in words.

    Less to backfill is no difference: what was shown may have been built in part since then, by a
    plan that failed halfway, say.
    """
    found: list[str] = []
    if shown.request != now.request:
        found.append(f"other options: was {_options(shown)}, now {_options(now)}")
    if (shown.previous_plan, shown.finalized) != (now.previous_plan, now.finalized):
        found.append(f"environment {now.environment} has {now.standing} now, had {shown.standing}")
    if (shown.origin, shown.origin_plan) != (now.origin, now.origin_plan):
        found.append(f"environment {now.origin or shown.origin} has another plan now")
    then, today = ({c.reference: c for c in plan.changes} for plan in (shown, now))
    other = {
        reference: difference
        for reference in sorted(then.keys() | today.keys())
        if (difference := _of_change(then.get(reference), today.get(reference)))
    }
    found += other.values()
    for reference, restated in {r.reference: r for r in now.restated}.items():
        before = [r.interval for r in shown.restated if r.reference == reference]
        if more := minus([restated.interval], before):
            found.append(f"{restated.name}: builds {in_words(more)} again, too")
    for item in now.backfill:
        built = [i for b in shown.backfill if b.reference == item.reference for i in b.intervals]
        if item.reference not in other and (more := minus(item.intervals, built)):
            found.append(f"{item.name}: builds {in_words(more)}, too")
    if shown.target != now.target and not found:
        found.append("before_all or after_all statements, or Python requirements, have changed")
    return found


def _of_change(then: Change | None, now: Change | None) -> str:
    if then is None and now is not None:
        return f"{now.name}: is {now.words} now (was not in the plan)"
    if now is None and then is not None:
        return f"{then.name}: is not in the plan any more (was {then.words})"
    if then is None or now is None:
        return ""
    other = then.identifier != now.identifier
    if (then.how, then.words) != (now.how, now.words):
        also = "has changed since, and is" if other else "is"
        return f"{now.name}: {also} {now.words} now (was {then.words})"
    if not other:
        return ""
    return f"{now.name}: {'reads what ' * (now.how == 'indirect')}has changed since ({now.words})"


def _options(plan: PlanExplanation) -> str:
    return ", ".join(f"{k}={v}" for k, v in plan.request.given.items()) or "none"
