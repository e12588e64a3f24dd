//! GitLab over HTTP: the client, and (feature `emulator`) a GitLab of our own to try everything against.
