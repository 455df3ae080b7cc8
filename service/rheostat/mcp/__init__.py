"""
What agents do with runs: tools on the client, and the server of the Model Context Protocol.

`rheostat.mcp.tools` needs the client alone; `rheostat.mcp.server` needs the extra ``mcp``.
"""
