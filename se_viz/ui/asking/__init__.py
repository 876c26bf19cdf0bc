"""How pages ask: the engine, a cache for each kind of question, and what is said where there is no answer."""
