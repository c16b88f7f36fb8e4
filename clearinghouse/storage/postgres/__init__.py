"""The same store in a PostgreSQL database, which several nodes share; its driver is imported here and nowhere else."""
