"""The JSON Schema as editors get it: the file in docs, and that it draws the lines where the loader draws them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from perstack.core.errors import UserError
from perstack.definition.load import load_config
from perstack.interface.commands.schema import command

FILE = Path(__file__).parents[2] / "docs" / "perstack.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(FILE.read_text("utf-8")))
EXPERT = "[experts.a]\ninstruction = 'x'\n"
STDIO = EXPERT + "[experts.a.skills.s]\ntype = 'mcpStdioSkill'\ncommand = 'x'\n"


def test_the_file_for_editors_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(command, ["--format", "json"], standalone_mode=False)

    assert printed.output == FILE.read_text("utf-8"), "run: perstack schema --format json > docs/perstack.schema.json"


@pytest.mark.parametrize(
    "text",
    [
        "[experts.'Bad Key']\ninstruction = 'x'",
        "perstackApiBaseUrl = 'http://x.org'",
        "perstackBaseSkillCommand = []",
        "[provider]\nproviderName = 'openai'\nsetting = { baseUrl = 'http://x.org' }",
        "[provider]\nproviderName = 'anthropic'\nsetting = { headers = { a = 1 } }",
        EXPERT + "version = '1.0'",
        EXPERT + "tags = ['Bad Tag']",
        EXPERT + "delegates = ['Bad Key']",
        EXPERT + "defaultModelTier = 'medium'",
        EXPERT + "description = ''",
        EXPERT + "providerToolOptions = { fileSearch = { maxNumResults = 0 } }",
        STDIO + "args = ['x']\nrequiredEnv = ['A B']",
        STDIO + "args = ['x']\nallowedDomains = ['a..b']",
        STDIO + "args = ['x']\npackageName = 'y'",
        STDIO + "args = ['x']\nlazyInit = 'yes'",
        EXPERT + "[experts.a.skills.s]\ntype = 'mcpSseSkill'\nendpoint = 'http://x.org'",
        EXPERT + "[experts.a.skills.s]\ntype = 'interactiveSkill'\ntools.t = {}",
    ],
)
def test_an_editor_marks_what_the_loader_refuses(text: str) -> None:
    with pytest.raises(UserError):
        load_config(text)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(tomllib.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        EXPERT.replace("experts.a", "experts.'@acme/tool-x_y@1.0.0-rc.1'"),
        EXPERT + "tags = ['a-b', '9']\nversion = '1.0.0+build.5'\ndelegates = ['@a/b', 'other@latest']",
        STDIO + "args = []\npackageName = 'y'",
        STDIO + "args = ['x']\nallowedDomains = ['*.example.com', 'example.com']\nrequiredEnv = ['GH_TOKEN', 'a-b']",
        "reasoningBudget = 0",
        "reasoningBudget = 'none'",
        "[provider]\nproviderName = 'openai-compatible'\nsetting = { baseUrl = 'http://localhost:1234/v1' }",
        "[provider]\nproviderName = 'amazon-bedrock'\nsetting = { region = 'eu-central-1' }",
        "[provider]\nproviderName = 'azure-openai'\nsetting = { useDeploymentBasedUrls = true, apiVersion = 'x' }",
        "[provider]\nproviderName = 'google-vertex'\nsetting = { project = 'p', location = 'l' }",
        "[provider]\nproviderName = 'fireworks'",
    ],
)
def test_an_editor_takes_what_the_loader_takes(text: str) -> None:
    assert load_config(text).warnings == ()
    VALIDATOR.validate(tomllib.loads(text))
