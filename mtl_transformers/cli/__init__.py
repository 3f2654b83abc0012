"""The command line: the only place of the package that talks."""
