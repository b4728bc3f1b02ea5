"""Tables that are put into a definition: what was there stays, and only one free team comes in."""

from __future__ import annotations

import pytest

from perstack.core.errors import UserError
from perstack.definition.added import appended, read_tables, require_team
from perstack.definition.load import load_config

NEW = '[experts."new"]\ninstruction = "New."\n'
TEAM = f'{NEW}delegates = ["@new/part"]\n[experts."@new/part"]\ninstruction = "Part."\n'


@pytest.mark.parametrize(
    "existing", ["", "# only words", 'model = "m"\n', 'model = "m"\r\n[experts.old]\r\ninstruction = "x"']
)
def test_what_was_there_stays_byte_for_byte_and_the_new_expert_is_read(existing: str) -> None:
    whole = appended(existing, NEW)
    assert whole.startswith(existing)
    assert "new" in load_config(whole).experts
    assert ("\r\n" in whole) == ("\r\n" in existing)


@pytest.mark.parametrize("existing", [NEW, 'experts = { old = { instruction = "x" } }\n'])
def test_a_definition_that_cannot_take_the_tables_is_refused(existing: str) -> None:
    with pytest.raises(UserError, match=r"perstack\.toml:\d+"):
        appended(existing, NEW)


def test_what_would_become_part_of_an_older_table_is_refused() -> None:
    with pytest.raises(UserError):
        appended('[experts."old"]\ninstruction = "x"\n', 'experts."new".instruction = "New."\n')
    with pytest.raises(UserError, match="change what is there"):
        appended('[experts."old"]\ninstruction = "x"\n', f'description = "Mine."\n{NEW}')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no expert"),
        (f'model = "m"\n{NEW}', "only .experts…. tables"),
        (f"{NEW}colour = 1\n", "colour"),
        (f'{NEW}delegates = ["@new/part"]\n', "@new/part"),
        ("\n".join(NEW.replace("new", f"new{n}") for n in range(9)), "at most 8"),
        ("x" * 60_001, "characters"),
        ('experts."new".instruction = "New."\n', "begin with the header"),
    ],
)
def test_other_things_than_experts_are_no_tables_to_add(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_tables(text, "new.toml", ())


def test_a_team_comes_in_under_its_own_name_and_takes_nobodys_key() -> None:
    experts = read_tables(TEAM, "new.toml", ())
    require_team(experts, "new", {"old", "@old/part"}, "new.toml")
    with pytest.raises(UserError, match="already"):
        require_team(experts, "new", {"new@1.0.0"}, "new.toml")
    with pytest.raises(UserError, match="no expert of this team"):
        require_team(experts, "other", (), "new.toml")
