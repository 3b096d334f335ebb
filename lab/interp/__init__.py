"""Looking inside networks: functions of a network and a task that return tables; `lab.inspection` applies them to runs."""
