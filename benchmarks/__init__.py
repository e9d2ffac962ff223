"""What rookery promises about speed, memory and faults, measured beside others; ``docs/benchmarks.md`` has the figures."""
