"""What a definition may not say: each refusal with its place and its published words."""

from __future__ import annotations

import pytest

from perstack.core.errors import UserError
from perstack.definition.load import load_config

EXPERT = '[experts.a]\ninstruction = "x"\n'
STDIO = EXPERT + '[experts.a.skills.s]\ntype = "mcpStdioSkill"\ncommand = "npx"\n'
SSE = EXPERT + '[experts.a.skills.s]\ntype = "mcpSseSkill"\n'


def refusals(text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_config(text)
    head, *lines = caught.value.message.splitlines()
    assert head == "perstack.toml: Validation failed:"
    return lines


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("maxSteps = 0", "maxSteps: must be at least 1"),
        ("maxRetries = -1", "maxRetries: must be at least 0"),
        ("maxSteps = 1000000000001", "maxSteps: must be at most 1000000000000"),
        (f"model = 0x{'f' * 5000}", "model: expected a string, got a very large number"),
        (f"reasoningBudget = 0x{'f' * 5000}", 'reasoningBudget: expected "none", "minimal"'),
        ("timeout = 0", "timeout: must be at least 1"),
        ("reasoningBudget = true", 'reasoningBudget: expected "none", "minimal"'),
        ("reasoningBudget = -1", 'reasoningBudget: expected "none", "minimal"'),
        ('reasoningBudget = "lots"', 'reasoningBudget: expected "none", "minimal"'),
        (
            'runtime = "podman"',
            'runtime: expected "local", "cursor", "claude-code", "gemini" or "docker", got "podman"',
        ),
        ('perstackApiBaseUrl = "http://x.org"', "perstackApiBaseUrl: perstackApiBaseUrl must use HTTPS"),
        (
            "perstackBaseSkillCommand = []",
            "perstackBaseSkillCommand: perstackBaseSkillCommand must have at least one element",
        ),
        ('provider = "openai"', 'provider: expected a table, got "openai"'),
        ("[provider]\nsetting = {}", "provider.providerName: required, but missing"),
        ('[provider]\nproviderName = "antropic"', '"antropic" (did you mean "anthropic"?) (perstack.toml:2)'),
        (
            '[provider]\nproviderName = "openai"\nsetting = { baseUrl = "http://x.org" }',
            "provider.setting.baseUrl: URL must use HTTPS (perstack.toml:3)",
        ),
        ('[experts.a]\ninstruction = ""', "experts.a.instruction: must have at least 1 character"),
        ('[experts.a]\nversion = "1.0.0"', "experts.a.instruction: required"),
        (f'[experts.a]\ninstruction = "{"x" * 20481}"', "experts.a.instruction: must have at most 20480 characters"),
        (EXPERT + f'description = "{"x" * 2049}"', "experts.a.description: must have at most 2048 characters"),
        (EXPERT + 'description = ""', "experts.a.description: must have at least 1 character"),
        (EXPERT + 'version = "1.0"', "experts.a.version: expected a semantic version"),
        (EXPERT + 'defaultModelTier = "medium"', 'experts.a.defaultModelTier: expected "low", "middle" or "high"'),
        (EXPERT + 'tags = ["Not good"]', "experts.a.tags.0: expected lower-case"),
        (EXPERT + 'providerSkills = [{ type = "builtin", skillId = "odt" }]', "experts.a.providerSkills.0.skillId"),
        (
            EXPERT + 'providerSkills = [{ type = "custom", name = "n", definition = "{" }]',
            'providerSkills.0.definition: Invalid JSON in custom skill definition for "n": ',
        ),
        (EXPERT + "providerToolOptions = { webSearch = { maxUses = 1.5 } }", "webSearch.maxUses: expected a whole"),
        (EXPERT + "providerToolOptions = { webFetch = { maxUses = 0 } }", "webFetch.maxUses: must be at least 1"),
        ('[experts."Bad Key"]\ninstruction = "x"', "experts.Bad Key: Invalid expert key format: Bad Key"),
        (EXPERT + 'delegates = ["b c"]', "experts.a.delegates.0: Invalid expert key format: b c"),
        (EXPERT + 'delegates = ["b", "b"]', 'experts.a.delegates.1: "b" is listed twice'),
    ],
)
def test_a_wrong_value_is_refused(text: str, refusal: str) -> None:
    lines = refusals(text)

    assert len(lines) == 1
    assert refusal in lines[0]


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (EXPERT + "[experts.a.skills.s]\ncommand = 'x'", "experts.a.skills.s.type: required, but missing"),
        (EXPERT + "[experts.a.skills.s]\ntype = 'mcpStdio'", '"mcpStdio" (did you mean "mcpStdioSkill"?)'),
        (EXPERT + "[experts.a.skills.s]\ntype = 'mcpStdioSkill'\nargs = ['x']", "skills.s.command: required"),
        (STDIO.replace("skills.s", "skills.''") + "args = []", "experts.a.skills.: a skill needs a name"),
        (STDIO.replace('"npx"', '""') + "args = []", "experts.a.skills.s.command: the command is empty"),
        (STDIO + 'args = ["x"]\nlazyInit = 1', "skills.s.lazyInit: expected true or false, got 1"),
        (
            EXPERT + '[experts.a.skills."@perstack/base"]\ntype = "interactiveSkill"\ntools = {}',
            "a built-in skill cannot be interactive",
        ),
        (
            EXPERT + "[experts.a.skills.s]\ntype = 'interactiveSkill'\ntools.'' = { inputJsonSchema = '{}' }",
            "experts.a.skills.s.tools.: a tool needs a name",
        ),
        (STDIO, "experts.a.skills.s: Skill s has no packageName or args. Please provide one of them."),
        (
            STDIO + 'packageName = "x"\nargs = ["y"]',
            "experts.a.skills.s: Skill s has both packageName and args. Please provide only one of them.",
        ),
        (STDIO + 'args = ["x"]\npick = "y"', 'experts.a.skills.s.pick: expected an array, got "y"'),
        (STDIO + 'args = ["x"]\nrequiredEnv = ["A B"]', "requiredEnv.0: expected the name of an environment variable"),
        (
            STDIO + 'args = ["x"]\nallowedDomains = ["a..b"]',
            "allowedDomains.0: Invalid domain pattern. Use exact domain (example.com) or wildcard prefix",
        ),
        (STDIO + 'args = ["x"]\nallowedDomains = ["a.xn--b.org"]', "allowedDomains.0: Punycode domains (xn--) are not"),
        (SSE, "experts.a.skills.s.endpoint: required"),
        (EXPERT + '[experts.a.skills.s]\ntype = "interactiveSkill"', "experts.a.skills.s.tools: required"),
        (
            EXPERT + '[experts.a.skills.s]\ntype = "interactiveSkill"\ntools.t.inputJsonSchema = "{"',
            "tools.t.inputJsonSchema: expected a string that holds a JSON Schema",
        ),
        (
            EXPERT
            + '[experts.a.skills.s]\ntype = "interactiveSkill"\ntools.t = { inputJsonSchema = "{}", name = "u" }',
            'tools.t.name: differs from the table\'s name "t"',
        ),
    ],
)
def test_a_wrong_skill_is_refused(text: str, refusal: str) -> None:
    lines = refusals(text)

    assert len(lines) == 1
    assert refusal in lines[0]


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://mcp.example.com/sse",
        "https://localhost/sse",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0.0.0.0/",
        "https://10.1.2.3/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fc00::1]/",
        "https://[fd12::1]/",
        "https://[::ffff:10.0.0.1]/",
        "ftp://mcp.example.com/",
        "not a url",
        "https://[bad/",
    ],
)
def test_a_local_or_open_endpoint_is_refused(endpoint: str) -> None:
    [line] = refusals(f'{SSE}endpoint = "{endpoint}"\n')

    assert "experts.a.skills.s.endpoint: SSE endpoint must be a public HTTPS URL (perstack.toml:5)" in line


@pytest.mark.parametrize("endpoint", ["https://mcp.example.com/sse", "https://172.32.0.1/", "https://[2606::1]:8443/x"])
def test_a_public_endpoint_is_taken(endpoint: str) -> None:
    config = load_config(f'{SSE}endpoint = "{endpoint}"\n')

    assert config.experts["a"].skills["s"].endpoint == endpoint


def test_a_local_ollama_may_speak_plain_http() -> None:
    config = load_config('[provider]\nproviderName = "ollama"\nsetting = { baseUrl = "http://localhost:11434" }')

    assert config.provider is not None
    assert config.provider.setting == {"baseUrl": "http://localhost:11434"}


def test_an_empty_argument_list_is_a_choice_not_an_omission() -> None:
    assert load_config(STDIO + "args = []").experts["a"].skills["s"].args == ()


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("[signals.x]\nkind = 'test'", "signals.x.run: required, but missing"),
        ('[signals.x]\nrun = "make \'x"', "signals.x.run: cannot split the command: No closing quotation"),
        ("[signals.x]\nrun = []", "signals.x.run: the command is empty"),
        ("[signals.x]\nrun = ''", "signals.x.run: the command is empty"),
        ("[signals.x]\nrun = ['a', 1]", "signals.x.run: expected a command as a string or as an array"),
        ("[signals.x]\nrun = 'a'\nkind = 'tset'", '"tset" (did you mean "test"?)'),
        ("[signals.x]\nrun = 'a'\npriority = 'may'", 'signals.x.priority: expected "must" or "should", got "may"'),
        ("[signals.x]\nrun = 'a'\nrepeat = 0", "signals.x.repeat: must be at least 1"),
        ("[signals.x]\nrun = 'a'\nrepeat = 21", "signals.x.repeat: must be at most 20"),
        ("[signals.x]\nrun = 'a'\ncwd = '../x'", "signals.x.cwd: expected a path inside the repository"),
        ("[signals.x]\nrun = 'a'\ncwd = '/x'", "signals.x.cwd: expected a path inside the repository"),
        ("[signals.x]\nrun = 'a'\nexpect = { exit = 256 }", "signals.x.expect.exit: expected an exit code"),
        ("[signals.x]\nrun = 'a'\nexpect = { stdout = '(' }", "signals.x.expect.stdout: expected a regular expression"),
        ("[signals.'a b']\nrun = 'a'", "signals.a b: a signal's name has letters"),
        ("[sandbox]\nimage = 'a'\nbuild = 'b'", "sandbox.build: `image` and `build` exclude each other"),
        ("[sandbox]\nbuild = '../Dockerfile'", "sandbox.build: expected a path inside the repository"),
        ("[sandbox]\nnetwork = 'host'", 'sandbox.network: expected "none", got "host"'),
        ("[sandbox.limits]\ncpus = inf", "sandbox.limits.cpus: expected a finite number"),
        ("[sandbox.limits]\nmemoryMb = 0", "sandbox.limits.memoryMb: must be at least 1"),
        ("[sandbox]\nsetup = [1]", "sandbox.setup: expected a command or an array of commands"),
        ("[verify]\nreject = ['(']", "verify.reject.0: expected a regular expression"),
        ("[verify]\nmaxFiles = 0", "verify.maxFiles: must be at least 1"),
        ("[pipelines.fix]\nplan = 'Bad Key'", "pipelines.fix.plan: Invalid expert key format: Bad Key"),
        (
            "[context]\nwarnAt = 0.9",
            "context.warnAt: must not be above compactAt (0.8): a warning comes before a compaction",
        ),
        (
            "[context]\nsummary = 'fact'",
            'context.summary: expected "model" or "facts", got "fact" (did you mean "facts"?)',
        ),
        ("[pipelines.fix.budgets]\nrounds = 0", "pipelines.fix.budgets.rounds: must be at least 1"),
        ("[github]\nallowedBots = ['dependabot']", 'github.allowedBots.0: expected a whole number, got "dependabot"'),
        (
            "[github]\n\n[github.commands.fixx]\nenabled = false",
            '"create-expert" or "help", got "fixx" (did you mean "fix"?) (perstack.toml:3)',
        ),
        ("[github.commands.publish]\nroles = ['admin']", 'github.commands.publish: expected "fix", "verify"'),
        ("[github.commands]\nfix = false", "github.commands.fix: expected a table, got false (perstack.toml:2)"),
        ("[github.commands.fix]\nroles = ['']", "github.commands.fix.roles.0: must have at least 1 character(s)"),
        (
            "[github]\nlabel = 'x'\non = [\n  'push',\n  'issue_coment',\n]",
            'got "issue_coment" (did you mean "issue_comment"?) (perstack.toml:5)',
        ),
        ("[github]\non = ['pull_request_target']", 'github.on.0: expected "pull_request", "issue_comment"'),
        ("[github]\nteams = ['core']", 'github.teams.0: expected a team as "organisation/team"'),
        ("[github]\nbranchPrefix = 'a..b'", "github.branchPrefix: expected the beginning of a branch name"),
        ("[github]\nbranchPrefix = ''", "github.branchPrefix: expected the beginning of a branch name"),
        ("[github]\ncooldown = '5m'", 'github.cooldown: expected a whole number, got "5m"'),
        ("[github]\njobsPerActor = -1", "github.jobsPerActor: must be at least 0 (perstack.toml:2)"),
        ("[github]\napproval = 'yes'", 'github.approval: expected "never" or "always", got "yes"'),
        ("[github]\ncommits = 'sign'", 'github.commits: expected "auto", "api" or "push", got "sign"'),
        ("[github]\nforkPolicy = 'push'", 'github.forkPolicy: expected "suggest" or "deny", got "push"'),
    ],
)
def test_a_wrong_table_of_the_harness_is_refused(text: str, refusal: str) -> None:
    lines = refusals(text)

    assert len(lines) == 1
    assert refusal in lines[0]


def test_roles_without_write_access_are_warned_about() -> None:
    [warning] = load_config("[github]\nroles = ['write', 'read']\n").warnings

    assert warning.startswith('perstack.toml:2: the role "read" lets people without write access start runs')


def test_picks_of_tools_nobody_has_are_warned_about_and_kept_quiet_for_tools_of_the_harness() -> None:
    text = EXPERT + '[experts.a.skills."@perstack/base"]\ntype = "mcpStdioSkill"\ncommand = "npx"\n'
    warnings = load_config(text + 'pick = ["readTextfile", "think", "runSignals", "exec"]').warnings

    assert warnings == (
        'perstack.toml:6: @perstack/base has no tool "readTextfile", it is ignored (did you mean "readTextFile"?)',
        'perstack.toml:6: @perstack/base has no tool "think", it is ignored',
    )
