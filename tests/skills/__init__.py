"""Tests of the skills layer."""
