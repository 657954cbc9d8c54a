"""A street of doors and the people behind them: a seed enters, the messages of real devices leave, faults and all."""
