"""Live out of a session, to viewers of others. A tap, as the recorder is one."""
