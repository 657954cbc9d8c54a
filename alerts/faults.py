"""The places at which tests end alerts as a power cut would; none enters, their names leave."""

from __future__ import annotations

from kaimen.faults import pass_each, pass_point

#: Every place there is, so that a test that kills at each of them cannot forget one.
POINTS = (
    "worker_start",
    "turn_claimed",
    "turn_decided",
    "turn_timer",
    "turn_before_commit",
    "turn_after_commit",
    "act_saved",
    "courier_start",
    "courier_leased",
    "courier_lost_noted",
    "courier_before_send",
    "courier_asked",
    "courier_sent",
    "courier_recording",
    "courier_recorded",
)

__all__ = ["POINTS", "pass_each", "pass_point"]
