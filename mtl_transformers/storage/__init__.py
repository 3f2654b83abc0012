"""What lies on disk: files that are written whole, directories that are verified and swapped."""
