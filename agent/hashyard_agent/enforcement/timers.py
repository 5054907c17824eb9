"""How long a unit has been in its step, and how long to wait before trying again. In memory, on monotonic time.

After a restart of the agent a step's patience begins anew: it is patience with the miner, not a lease.
"""

from hashyard_agent.enforcement.model import EnforcementPolicy, Step, UnitRow
from hashyard_shared.clock import Clock


class Timers:
    """One for all units."""

    def __init__(self, clock: Clock, policy: EnforcementPolicy) -> None:
        self._clock = clock
        self._policy = policy
        self._since: dict[str, tuple[int, float]] = {}
        self._failures: dict[str, int] = {}

    def age_s(self, row: UnitRow) -> float:
        """Seconds since the unit came into its step, as far as this process saw."""
        now_s = self._clock.monotonic_s()
        known = self._since.get(row.unit_id)
        if known is None or known[0] != row.step_at_us:
            self._since[row.unit_id] = (row.step_at_us, now_s)
            return 0.0
        return now_s - known[1]

    def patience_s(self, step: Step) -> float | None:
        """How long a step may take before what stops it is reported; None for steps that wait for nothing."""
        return {
            Step.WRITING: self._policy.readback_timeout_s,
            Step.READ_BACK: self._policy.readback_timeout_s,
            Step.ACTIVATING: self._policy.activate_timeout_s,
            Step.PROVING: self._policy.shares_timeout_s,
        }.get(step)

    def backoff_s(self, row: UnitRow) -> float:
        """The wait after another failure: doubles, up to the policy's longest."""
        count = self._failures.get(row.unit_id, 0)
        self._failures[row.unit_id] = min(count + 1, 32)
        return float(min(self._policy.retry_first_s * 2**count, self._policy.retry_max_s))

    def forget_failures(self, row: UnitRow) -> None:
        """Something went well."""
        self._failures.pop(row.unit_id, None)
