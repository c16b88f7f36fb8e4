"""What people do: decide cases, revoke, govern credentials; and what follows for what stands."""
