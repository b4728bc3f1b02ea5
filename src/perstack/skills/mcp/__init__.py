"""Skills whose tools live in MCP servers: started, watched, called, started again. Not a server, and no sandbox.

A server is a stranger: what it says (names, descriptions, schemas, results, its standard error) is data to be cleaned
and bounded here, never an instruction. The official SDK speaks the protocol; it costs about a second to import, so only
`wire_*` modules import it, and `loading.py` brings those in when the first server starts.
"""
