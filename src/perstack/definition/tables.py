"""What every table of `perstack.toml` is made of. Knows no key of the file."""

from __future__ import annotations

import re
from typing import cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo


def written(pattern: re.Pattern[str] | str) -> FieldInfo:
    """For editors: how a text is written. The loader has its own rule with its own words."""
    text = pattern if isinstance(pattern, str) else pattern.pattern
    extra: dict[str, JsonValue] = {"pattern": f"^(?:{text})$"}
    return cast("FieldInfo", Field(json_schema_extra=extra))


class Table(BaseModel):
    """One TOML table. Unknown keys are kept, so that they can be reported instead of vanishing."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, strict=True, frozen=True)
