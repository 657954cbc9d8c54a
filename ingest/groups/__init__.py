"""Workers, leases, clocks and causes of one shard group enter; who serves it, and when it may judge, leaves."""
