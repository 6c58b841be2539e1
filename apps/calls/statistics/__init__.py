"""What happened in calls, in numbers: counted by the hour, summed for whoever looks."""
