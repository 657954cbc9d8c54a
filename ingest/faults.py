"""The places at which tests end ingest as a power cut would; none enters, their names leave."""

from __future__ import annotations

from kaimen.faults import pass_point

#: Passed by a worker that takes a group over, in this order.
TAKE_OVER_POINTS = ("provisioning", "lease_taking", "lease_taken", "rebuilt", "connecting")
#: Passed by every turn that has events; those from ``lease_locked`` to ``before_commit`` inside its transaction.
TURN_POINTS = (
    "batch_taken",
    "batch_decoded",
    "before_transaction",
    "lease_locked",
    "mid_copy",
    "events_copied",
    "coverage_written",
    "facts_written",
    "snapshot_written",
    "before_commit",
    "after_commit",
    "mid_ack",
    "acked",
)
#: Passed at a clean stop: what waited was written, the lease is still held.
STOP_POINTS = ("stop_written",)
POINTS = (*TAKE_OVER_POINTS, *TURN_POINTS, *STOP_POINTS)

__all__ = ["POINTS", "STOP_POINTS", "TAKE_OVER_POINTS", "TURN_POINTS", "pass_point"]
