"""Which paths decide what red and green mean, per ecosystem. Data only, in `.gitignore` syntax."""

from __future__ import annotations

from typing import Final

STRUCTURAL: Final = (
    # nobody may be allowed to change these by configuration: they decide what is judged, or run before it
    "/perstack.toml",
    "/perstack.lock",
    "/perstack.vendor/",
    ".git",
    ".gitattributes",
    ".gitmodules",
    "/.github/workflows/",
    "/.github/actions/",
    "sitecustomize.py",
    "usercustomize.py",
    "*.pth",
    "*.egg-link",
)

PYTHON: Final = (
    "conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "tox.toml", "noxfile.py",
    "setup.cfg", "setup.py", "pyproject.toml", "hatch.toml", "hatch_build.py", "unittest.cfg", ".noserc", "nose.cfg",
    ".coveragerc", "mypy.ini", ".mypy.ini", "ruff.toml", ".ruff.toml", ".flake8", ".pylintrc", "pylintrc",
    "pyrightconfig.json", ".bandit", ".isort.cfg", "requirements*.txt", "requirements*.in", "constraints*.txt",
    "requirements/*.txt", "requirements/*.in", "Pipfile", "Pipfile.lock", "poetry.lock", "uv.lock", "pdm.lock",
    "uv.toml", "pip.conf", "pip.ini", ".python-version", "MANIFEST.in", "pyvenv.cfg", "environment.yml",
    "environment.yaml", ".pytest_cache/", "__pycache__/", ".hypothesis/", "*.py[cod]", "*.egg-info/", "*.dist-info/",
    "entry_points.txt", ".pdbrc",
)  # fmt: skip

NODE: Final = (
    "package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "pnpm-workspace.yaml",
    "bun.lock", "bun.lockb", "bunfig.toml", ".npmrc", ".yarnrc", ".yarnrc.yml", ".yarn/", ".pnp.*", ".pnpmfile.cjs",
    "jest.config.*", "jest-*.config.*", "jest.setup.*", "vitest.config.*", "vitest.workspace.*", "vite.config.*",
    "jest.*.config.*", "jest-setup.*", "jest-preset.*", "jest-environment*.*js", "jest-resolver.*",
    "jest-transform*.*js", "jest.preset.*", "jest.environment.*", "setupTests.*", "setup-tests.*", "setupJest.*",
    "setup-jest.*", "vitest.setup.*", "vitest-setup.*", "vitest.*.config.*", "vitest.projects.*", "test-setup.*",
    "vite.config.*.timestamp-*",
    ".mocharc*", "mocha.opts", "karma.conf.*", "ava.config.*", ".taprc", ".c8rc*", ".nycrc*", "nyc.config.*",
    "playwright.config.*", "cypress.config.*", "cypress.json", "wdio.conf.*", "tsconfig*.json", "jsconfig.json",
    ".eslintrc*", ".eslintignore", "eslint.config.*", ".prettierrc*", "prettier.config.*", "biome.json*", ".swcrc",
    "babel.config.*", ".babelrc*", "webpack.config.*", "rollup.config.*", "turbo.json", "nx.json", "lerna.json",
    "node_modules/", "deno.json*", "deno.lock", ".nvmrc", ".node-version", ".husky/", ".lintstagedrc*",
    "stryker.conf.*",
)  # fmt: skip

COMPILED: Final = (
    # Go
    "go.mod", "go.sum", "go.work", "go.work.sum", "go.env", ".golangci.*", "*.syso",
    "/vendor/", "vendor/modules.txt", "vendor/github.com/", "vendor/golang.org/", "vendor/gopkg.in/",
    # Rust
    "Cargo.toml", "Cargo.lock", "build.rs", ".cargo/", "rust-toolchain", "rust-toolchain.toml", "clippy.toml",
    ".clippy.toml", "rustfmt.toml", ".config/nextest.toml",
    # Java and Kotlin
    "pom.xml", ".mvn/", "mvnw", "mvnw.cmd", "build.gradle", "build.gradle.kts", "settings.gradle",
    "settings.gradle.kts", "gradle.properties", "gradle/", "gradlew", "gradlew.bat", "init.gradle*", "buildSrc/",
    "junit-platform.properties", "**/META-INF/services/org.junit.*", "**/META-INF/services/org.testng.*",
    "**/META-INF/services/javax.annotation.processing.*", "**/META-INF/services/org.assertj.*",
    "**/META-INF/services/org.mockito.*", "**/mockito-extensions/",
    "testng*.xml", "checkstyle*.xml", "pmd*.xml", "spotbugs*.xml", "lombok.config",
    # C and C++
    "CMakeLists.txt", "*.cmake", "CMakePresets.json", "CMakeUserPresets.json", "CTestConfig.cmake",
    "CTestCustom.cmake", "configure", "configure.ac", "Makefile.am", "meson.build", "meson_options.txt",
    "meson.options", ".clang-tidy", "conanfile.*", "vcpkg.json", "BUILD", "BUILD.bazel", "WORKSPACE",
    "WORKSPACE.bazel", "MODULE.bazel", ".bazelrc",
)  # fmt: skip

SHARED: Final = (
    "Makefile", "makefile", "GNUmakefile", "*.mk", "justfile", "Justfile", ".justfile", "Taskfile.y*ml",
    "Rakefile", "Gemfile", "Gemfile.lock", ".rspec", "composer.json", "composer.lock", "phpunit.xml*",
    "/.github/**", "!/.github/**/*.md", "!/.github/ISSUE_TEMPLATE/**",
    "/.circleci/", ".gitlab-ci.yml", ".travis.yml", "appveyor.yml", ".appveyor.yml",
    "azure-pipelines*.yml", "Jenkinsfile", "bitbucket-pipelines.yml", ".drone.yml", ".woodpecker*", ".buildkite/",
    "action.yml", "action.yaml", ".ci/", ".gitignore", ".pre-commit-config.yaml", ".pre-commit-hooks.yaml",
    "lefthook.yml", "codecov.yml", ".codecov.yml", "sonar-project.properties", "Dockerfile*", "*.dockerfile",
    "Containerfile*", ".dockerignore", "docker-compose*.y*ml", "compose*.y*ml", ".devcontainer/",
    ".devcontainer.json", "flake.nix", "flake.lock", "shell.nix", "default.nix", ".tool-versions", "mise.toml",
    ".mise.toml", ".env", ".env.*", ".envrc", "*.baseline", "*-baseline.*", ".secrets.baseline",
)  # fmt: skip

CHECKERS: Final = (
    # what linters, formatters, scanners and their caches read by themselves, whatever the language
    ".*ignore", ".*lint*", ".editorconfig", "stylelint.config.*", "commitlint.config.*", "lint-staged.config.*",
    "tslint.json", "knip.json", "dprint.json", ".dprint.json", "cspell*.json", ".cspell*.json", ".jshintrc", ".jscsrc",
    ".codespellrc", ".proselintrc*", ".remarkrc*", ".luacheckrc", ".shellcheckrc", ".browserslistrc", ".lighthouserc*",
    ".testcaferc*", ".percy.y*ml", "backstop.json", ".storybook/", "testem.*", ".vale.ini", ".sqlfluff",
    ".hadolint.y*ml", ".checkov.y*ml", ".snyk", ".gitleaks.toml", "osv-scanner.toml", ".semgrep.y*ml", ".semgrep/",
    "buf.y*ml",
    ".pyre_configuration*", "pytype.cfg", "ty.toml", "pyrefly.toml", "behave.ini", ".behaverc", "robot.toml",
    "deny.toml", "taplo.toml", ".taplo.toml", ".clang-format", ".clangd", ".cmake-format*", ".cppcheck*",
    "compile_flags.txt", "compile_commands.json", "phpstan*.neon*", "phpcs.xml*", ".phpcs.xml*", "psalm*.xml*",
    ".rubocop*.yml", "detekt*.yml", ".swiftlint.yml", ".scalafmt.conf", ".scalafix.conf", "analysis_options.yaml",
    "stylecop.json", "*.ruleset", ".globalconfig", "xunit.runner.json", ".credo.exs",
    ".mypy_cache/", ".ruff_cache/", ".eslintcache", ".turbo/", ".nx/",
)  # fmt: skip

BUILDS: Final = (
    # of further languages and tools
    "*.csproj", "*.fsproj", "*.vbproj", "*.sln", "Directory.Build.*", "Directory.Packages.props", "NuGet.config",
    "global.json", "*.runsettings", "mix.exs", "mix.lock", ".formatter.exs", "build.sbt", "project/*.sbt",
    "project/build.properties", "deps.edn", "project.clj", "stack.yaml", "cabal.project*", "*.cabal", "dune-project",
    "Package.swift", "Package.resolved", "Podfile", "Podfile.lock", "pubspec.yaml", "pubspec.lock", "Gruntfile.*",
    "gulpfile.*", "CMakeSettings.json", "xmake.lua", "wscript", "SConstruct", "SConscript", "BUCK", ".buckconfig",
    "pants.toml", "build.xml", "ivy.xml", ".bazelversion",
)  # fmt: skip

DEFAULT: Final = (*PYTHON, *NODE, *COMPILED, *SHARED, *CHECKERS, *BUILDS)

ANYWHERE: Final = (
    # active wherever they lie, a test directory included
    "conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", ".pytest_cache/", "__pycache__/",
    "*.py[cod]", ".hypothesis/", "node_modules/", "*.egg-info/", "*.dist-info/", ".coveragerc", ".env",
    "junit-platform.properties", "**/META-INF/services/org.junit.*",
    ".mocharc*", "jest.config.*", "vitest.config.*", ".eslintrc*", "ruff.toml", ".ruff.toml",
)  # fmt: skip

TEST_DATA: Final = (
    "testdata/", "__mocks__/", "*.snap", "__snapshots__/", "__screenshots__/", "__image_snapshots__/", "*.golden",
    "golden/", "goldens/", "*.approved.*",
)  # fmt: skip

TEST_FILE: Final = (
    "test_*.py", "*_test.py", "tests.py", "test.py", "*.test.[cm][jt]s", "*.test.[jt]s", "*.test.[jt]sx",
    "*.spec.[cm][jt]s", "*.spec.[jt]s", "*.spec.[jt]sx", "*_test.go", "*Test.java", "*Tests.java", "Test*.java",
    "*IT.java", "*TestCase.java", "*Test.kt", "*Tests.kt", "*Spec.kt", "*_test.rs", "*_spec.rb", "*_test.rb",
    "test_*.rb", "*Test.php", "*_test.c", "*_test.cc", "*_test.cpp", "test_*.c", "test_*.cc", "test_*.cpp",
    "*_unittest.cc", "*_tests.rs", "*_test.exs", "*Test.cs", "*Tests.cs", "*.cy.[jt]s", "*.e2e.[jt]s", "*.feature",
    "tests.rs", "test.rs",
)  # fmt: skip

TEST_ROOT_NAMES: Final = frozenset(
    {"test", "tests", "testing", "__tests__", "spec", "specs", "testdata", "e2e", "t", "unittests", "unit_tests",
     "integration_tests", "functional_tests", "test_data", "test-data", "src-test", "it", "qa", "checks"}
)  # fmt: skip
