"""`fabula.Record` for trainers that call back: one module for each, which is imported by its name (docs/record.md)."""
