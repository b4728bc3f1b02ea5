"""Definitions more than one test file reads."""

FULL = """
model = "some-model"
reasoningBudget = 4096
maxSteps = 50
maxRetries = 0
timeout = 1000
envPath = [".env.test"]

[provider]
providerName = "openai"
[provider.setting]
organization = "acme"
headers = { "X-Team" = "core" }

[experts."app"]
version = "1.2.3"
minRuntimeVersion = "v1.0"
description = "Coordinates."
instruction = "Do it."
delegates = ["@app/verify", "other"]
tags = ["a", "b"]
defaultModelTier = "high"
providerTools = ["webSearch"]
providerSkills = [{ type = "builtin", skillId = "pdf" }, { type = "custom", name = "x", definition = "{}" }]
providerToolOptions = { webSearch = { maxUses = 3, allowedDomains = ["example.com"] } }

[experts."app".skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base"
pick = ["readTextFile", "attemptCompletion"]

[experts."app".skills."ask"]
type = "interactiveSkill"
[experts."app".skills."ask".tools.askUser]
description = "Ask the user."
inputJsonSchema = '{"type":"object"}'

[experts."app".skills.remote]
type = "mcpSseSkill"
endpoint = "https://mcp.example.com/sse"
omit = ["drop"]
allowedDomains = ["mcp.example.com", "*.example.org"]

[experts."@app/verify"]
instruction = "Check it."
[experts."@app/verify".skills."search"]
type = "mcpStdioSkill"
command = "npx"
args = ["-y", "exa-mcp-server"]
requiredEnv = ["EXA_API_KEY"]
lazyInit = true
rule = "For advisories only."

[experts.other]
instruction = "Something else."

[sandbox]
image = "python:3.12"
setup = "pip install -e ."
setupTimeout = 60000
runtime = "runsc"
env = { LANG = "C.UTF-8" }
limits = { memoryMb = 2048, cpus = 1.5 }

[signals.tests]
run = "python3 -m pytest -q 'a b'"
repeat = 3
timeout = 1500
protect = ["tests/**"]
[signals.lint]
run = ["ruff", "check"]
priority = "should"
expect = { exit = [0, 2], stdout = "ok|fine" }
cwd = "pkg"
[signals.no-debugger]
run = "grep -r breakpoint src"
reject = true
expect = { exit = 0 }

[verify]
protect = ["golden/**"]
allow = ["uv.lock"]
reject = ["eval\\\\("]
maxFiles = 5
maxLines = 100
shouldThreshold = 0
suspicious = "report"

[pipelines.fix]
build = "@app/verify"
budgets = { rounds = 5, steps = 10, tokens = 0, wallTime = 90000 }

[context]
warnAt = 0.4
compactAt = 0.5
summary = "facts"

[github]
roles = ["admin"]
teams = ["acme/core"]
on = ["issues", "pull_request"]
assignee = "fixer"
approval = "always"
cooldown = 90000
jobsPerActor = 5
jobsPerDay = 20
tokensPerDay = 1000000
commits = "push"
reviewComments = false
sarif = true
commands.run = { enabled = false }
commands.fix = { roles = ["maintain"], teams = ["acme/fixers"] }
allowedBots = [41898282]
label = "fix-me"
branchPrefix = "bot/"
verifyPullRequests = false
forkPolicy = "deny"
checkName = "proof"
"""
