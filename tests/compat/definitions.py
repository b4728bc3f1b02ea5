"""Definitions of our own, in the forms that others write: a bot, a team in scopes, a builder of experts."""

ISSUE_BOT = """
model = "claude-sonnet-4-5"
runtime = "docker"

[provider]
providerName = "anthropic"

[experts."@acme/issue-bot"]
version = "0.3.1"
minRuntimeVersion = "v1.0"
description = "Answers issues from the code."
instruction = "Read the issue, look at the code, answer."
delegates = ["@tools/search"]
tags = ["github", "bot"]

[experts."@acme/issue-bot".skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base@0.0.34"
requiredEnv = ["GH_TOKEN", "ISSUE_NUMBER"]

[experts."@tools/search"]
description = "Searches."
instruction = "Search for what you are asked."

[experts."@tools/search".skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
args = ["-y", "@perstack/base"]
omit = ["exec", "writeTextFile", "editTextFile", "appendTextFile"]
"""

GAME_TEAM = """
reasoningBudget = "medium"
envPath = [".env"]

[provider]
providerName = "openai"

[experts."game-dev"]
defaultModelTier = "high"
description = "Builds a game."
instruction = "You coordinate. Plan, build, verify."
delegates = ["@game-dev/plan", "@game-dev/build", "@game-dev/verify"]

[experts."game-dev".skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base"
pick = ["readTextFile", "exec", "attemptCompletion"]

[experts."@game-dev/plan"]
defaultModelTier = "middle"
description = "Plans."
instruction = "You plan the game."

[experts."@game-dev/build"]
defaultModelTier = "low"
description = "Builds."
instruction = "You build the game."
delegates = ["@game-dev/plan"]

[experts."@game-dev/verify"]
defaultModelTier = "low"
description = "Runs hard signal checks; returns PASS or CONTINUE."
instruction = "You verify the game by running it."

[experts."@game-dev/verify".skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base"
pick = ["exec", "readTextFile", "attemptCompletion"]
"""

BUILDER = """
[experts."create-team"]
description = "Makes the experts a task needs."
instruction = "Create an expert for the task, then delegate to it."

[experts."create-team".skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base"
pick = ["createExpert", "addDelegate", "removeDelegate", "addSkill", "removeSkill", "attemptCompletion"]
"""
