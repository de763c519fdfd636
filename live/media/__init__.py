"""Live video: WHIP in, WHEP out, encoded packets forwarded as they come. Nothing is decoded and encoded again per viewer."""
