"""The clearinghouse's side of a federation: who is a member, which level each has, and how that is published and answered."""
