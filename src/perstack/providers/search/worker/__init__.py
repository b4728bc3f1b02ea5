"""The part of the search builder that runs inside the sandbox, beside the tests.

Plain files sent through the `exec` tool. They need Python 3.8 and pytest and nothing of Perstack: while they travel the
package is renamed, so that it can never shadow a repository's own modules. Not imported by the provider.
"""
