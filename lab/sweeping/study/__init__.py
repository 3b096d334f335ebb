"""The study of a sweep: its folder and storage, the leases of trials, and the trial that a worker takes next."""
