"""The adapter for CMake projects: built by the verifier, run by ctest, each test's process watched to its end."""
