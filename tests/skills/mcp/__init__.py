"""Tests of MCP skills: real servers over real pipes and sockets, and one that misbehaves in every way it can."""
