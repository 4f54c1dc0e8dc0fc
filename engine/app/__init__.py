"""What `latent play` wires together: session, surfaces, recording."""
