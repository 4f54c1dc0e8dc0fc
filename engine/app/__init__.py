"""The app of `latent play`: session, surfaces and recording, wired together."""
