"""MCP: sessions with tool servers that speak the Model Context Protocol."""
