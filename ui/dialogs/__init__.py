"""Windows that ask or tell and go again."""
