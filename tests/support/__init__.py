"""What several tests share: small networks, a server on loopback, pages under test."""
