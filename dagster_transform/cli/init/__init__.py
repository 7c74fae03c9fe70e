"""`dagster-transform init`: the files that a transform begins with."""
