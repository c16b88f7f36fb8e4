"""The pages keep their word: commands run, examples parse, tables are true, links lead somewhere."""
