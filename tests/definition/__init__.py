"""Tests of the definition layer."""
