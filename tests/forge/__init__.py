"""Tests of the forge layer."""
