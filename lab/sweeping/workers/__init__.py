"""The workers of a sweep: processes of this machine or tasks of a Ray cluster, which train its runs."""
