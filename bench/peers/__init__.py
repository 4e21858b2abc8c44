"""Other services that presign uploads, as their own documentation shows them, to compare the broker with."""
