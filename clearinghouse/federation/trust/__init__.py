"""What a receiver of published documents believes, step by step, without input or output."""
