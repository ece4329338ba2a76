"""Real TCP: nginx mirrors in network namespaces, their links shaped, broken and mended while a tool downloads."""
