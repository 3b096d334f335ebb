"""The command line: one module for each command, each with `run(arguments) -> exit status`."""
