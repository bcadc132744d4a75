"""What the files of a record hold, brought to types that can be trusted: values, lines, columns, fields."""
