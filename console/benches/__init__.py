"""The benchmarks: a size enters; figures leave, each beside the machine's limit and its peers of the same run."""
