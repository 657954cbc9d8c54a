"""The places at which tests end the edge as a power cut would; none enters, their names leave."""

from __future__ import annotations

from kaimen.faults import pass_point

#: In the order in which a frame passes them, from its source to the PUBACK of the central broker.
POINTS = (
    "edge_taken",
    "edge_spooling",
    "edge_spooled",
    "edge_mid_answer",
    "edge_answered",
    "edge_published",
    "edge_deleting",
    "edge_deleted",
)

__all__ = ["POINTS", "pass_point"]
