"""A new community, and what an installation still needs before anybody is watched."""

from __future__ import annotations

from dataclasses import dataclass

from console.views.channels import ZONES
from console.views.parts import Form
from console.views.registry import TEMPLATES


@dataclass(frozen=True, slots=True)
class CommunityPage:
    form: Form

    @property
    def zones(self) -> tuple[str, ...]:
        return ZONES


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that has to be there before somebody is watched and reached; ``name`` is a word below ``steps.``."""

    name: str
    done: bool
    url: str = ""


TEMPLATES["admin_community.html"] = (CommunityPage, "/admin/communities/new")
