"""Tables: loading, splitting, filtering, preparing."""
