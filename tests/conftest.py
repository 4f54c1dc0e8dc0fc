"""What holds for every test."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# Tests that import onnxruntime themselves report nothing to its vendor, either.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# A shell lets what it starts in the background ignore interrupts, and so would every
# program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine takes as long as it takes: no example fails by the clock.
settings.register_profile(
    "latent", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("latent")

# Modules that start programs, need a device, or take more than some seconds:
# `bin/test fast` leaves them out.
SLOW_MODULES = frozenset(
    {
        "test_album_make",
        "test_album_state",
        "test_api",
        "test_bad_files",
        "test_bin_fresh_clone",
        "test_bin_latent",
        "test_bin_own_music",
        "test_composition",
        "test_container",
        "test_curate",
        "test_curation",
        "test_demo",
        "test_device_ring",
        "test_examples",
        "test_export",
        "test_face",
        "test_generators",
        "test_guard",
        "test_icecast",
        "test_ingest",
        "test_intake",
        "test_interrupted",
        "test_likeness",
        "test_main",
        "test_mpris",
        "test_mqtt",
        "test_music",
        "test_osc_server",
        "test_play",
        "test_play_devices",
        "test_play_follow",
        "test_play_faults",
        "test_play_fuzz",
        "test_play_keep",
        "test_play_kill",
        "test_play_moods",
        "test_play_osc",
        "test_play_set",
        "test_play_streams",
        "test_play_wake",
        "test_preset_sound",
        "test_privacy",
        "test_producer",
        "test_recorder_kill",
        "test_render",
        "test_replay",
        "test_reproduce",
        "test_song_card",
        "test_simulated_session",
        "test_songs_again",
        "test_start",
        "test_stems",
        "test_stream_encoder",
        "test_stream_players",
        "test_stream_server",
        "test_stream_sinks",
        "test_tell",
        "test_train",
        "test_view",
        "test_web_curation",
        "test_web_hours",
        "test_web_review",
        "test_web_sky",
        "test_web_page",
    }
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow modules."""
    for item in items:
        if item.path.stem in SLOW_MODULES:
            item.add_marker(pytest.mark.slow)
