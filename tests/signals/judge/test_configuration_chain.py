"""Files that configuration refers to are found by what refers to them, whatever they are called."""

# ruff: noqa: E501  # one case a line

from __future__ import annotations

import pytest

from perstack.signals.configuration_chain import configuration_chain


def chain(**files: str) -> set[str]:
    named = {name.replace("__", "/").replace("_D", "."): text.encode() for name, text in files.items()}
    return set(configuration_chain(named, named.get))


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"tsconfig_Djson": '{"extends": "./conf/base.json"}', "conf__base_Djson": "{}"}, {"conf/base.json"}),
        ({"tsconfig_Djson": '{"extends": "./conf/base"}', "conf__base_Djson": "{}"}, {"conf/base.json"}),
        ({"web__tsconfig_Dbuild_Djson": '{"extends": ["../a.json", "./b.json"]}', "a_Djson": "", "web__b_Djson": ""}, {"a.json", "web/b.json"}),
        ({"tsconfig_Djson": '{"extends": "./a.json"}', "a_Djson": '{"extends": "./b.json"}', "b_Djson": '{"extends": "./a.json"}'}, {"a.json", "b.json"}),
        ({"tsconfig_Djson": '{"extends": "@tsconfig/node20"}'}, set()),
        ({"tsconfig_Djson": '{"extends": "../outside.json"}'}, set()),
        ({"_Deslintrc_Dyml": "extends: ./lint/base.js\n", "lint__base_Djs": ""}, {"lint/base.js"}),
        ({"eslint_Dconfig_Dmjs": 'import rules from "./lint/rules.mjs";', "lint__rules_Dmjs": 'import "./more.mjs"', "lint__more_Dmjs": ""}, {"lint/rules.mjs", "lint/more.mjs"}),
        ({"eslint_Dconfig_Djs": 'const a = require("./lint/rules")', "lint__rules_Djs": ""}, {"lint/rules.js"}),
        ({"ruff_Dtoml": 'extend = "conf/r.toml"', "conf__r_Dtoml": ""}, {"conf/r.toml"}),
        ({"pyproject_Dtoml": '[tool.ruff]\nextend = "./r.toml"\n', "r_Dtoml": ""}, {"r.toml"}),
        ({"src__index_Dts": 'import "./other"', "src__other_Dts": ""}, set()),
        ({"tsconfig_Djson": "{" * 5000}, set()),
    ],
)  # fmt: skip
def test_a_chain_is_followed(files: dict[str, str], wanted: set[str]) -> None:
    assert chain(**files) == wanted
