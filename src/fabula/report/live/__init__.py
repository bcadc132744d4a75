"""The report while a run is being made: the same sections, in parts that can be replaced one by one."""
