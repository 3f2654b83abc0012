"""What `init` does: from files to a config that `check` accepts."""
