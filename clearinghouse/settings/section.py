"""What every section of the settings has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Part of the settings; its relative paths start at the directory that validation is told (``context``)."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
