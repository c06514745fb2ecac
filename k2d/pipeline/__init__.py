"""What every stage shares: jobs, units, stamps compared, the runner, the list of stages."""
