"""Skills that cannot be started are told before a run, with expert and skill."""

from __future__ import annotations

import pytest

from perstack.core.errors import ExitCode, UserError
from perstack.core.experts import BASE_SKILL, SkillSpec
from perstack.skills.selection import require_available
from perstack.testing import expert


@pytest.mark.parametrize("pinned", ["@perstack/base", "@perstack/base@0.0.34"])
def test_the_base_skill_is_built_in_however_it_is_pinned(pinned: str) -> None:
    require_available(expert(skills={BASE_SKILL: SkillSpec(BASE_SKILL, command="npx", package_name=pinned)}))


@pytest.mark.parametrize("kind", ["mcpStdioSkill", "mcpSseSkill", "interactiveSkill"])
def test_other_skills_are_told_before_a_run(kind: str) -> None:
    lacking = expert("app", skills={BASE_SKILL: SkillSpec(BASE_SKILL), "exa": SkillSpec("exa", type=kind)})

    with pytest.raises(UserError) as caught:
        require_available(lacking)

    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.message == (f'Expert "app" needs skills that are not available in this version: "exa" ({kind})')
    assert '[experts."app".skills.' in caught.value.hint
